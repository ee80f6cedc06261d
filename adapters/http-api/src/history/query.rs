//! What is asked of the history, read with its refusals.

use common::{GroupId, Severity, UserId, UtcMillis};
use producer::{
    domain::{Directory, text::normalise},
    ports::{AlertFilter, DeadLetterFilter, DeliveryState},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{errors::ApiError, paging::Cursor};

/// The longest text to be looked for, in characters.
const LONGEST_TEXT: usize = 200;

/// Which alerts to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertParams {
    /// `high`, `normal` or `low`, in any letter case.
    #[param(pattern = "^(?:[Hh][Ii][Gg][Hh]|[Nn][Oo][Rr][Mm][Aa][Ll]|[Ll][Oo][Ww])$")]
    severity: Option<String>,
    /// Accepted at this time or later, RFC 3339.
    #[param(format = DateTime, example = "2026-11-23T08:00:00Z")]
    since: Option<String>,
    /// Accepted at this time or earlier, RFC 3339.
    #[param(format = DateTime)]
    until: Option<String>,
    /// That concerned this user: an id or a name.
    #[param(min_length = 1)]
    user: Option<String>,
    /// That named this group among their targets: an id or a name.
    #[param(min_length = 1)]
    group: Option<String>,
    /// With a delivery in this state: `queued`, `sending`, `waiting`, `delivered`,
    /// `digested`, `dead` or `cancelled`.
    #[param(pattern = "^(?:queued|sending|waiting|delivered|digested|dead|cancelled)$")]
    state: Option<String>,
    /// Whose message holds this text, whatever the letter case; 1 to 200 characters.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
    )]
    q: Option<String>,
    /// The most items of the page, 1 to 1000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub(super) cursor: Option<Cursor>,
}

/// Which dead letters to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterParams {
    /// To channels of this kind, such as `slack`.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
    )]
    pub(super) channel: Option<String>,
    /// Whose reason holds this text; 1 to 200 characters.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
    )]
    pub(super) reason: Option<String>,
    /// Of alerts accepted at this time or later, RFC 3339.
    #[param(format = DateTime)]
    pub(super) since: Option<String>,
    /// The most items of the page, 1 to 1000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub(super) cursor: Option<Cursor>,
}

/// Which part of a list to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartParams {
    /// The most deliveries of the page, 1 to 1000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 1000)]
    pub(super) limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub(super) cursor: Option<Cursor>,
}

impl AlertParams {
    pub(super) fn filter(&self, directory: &Directory) -> Result<AlertFilter, ApiError> {
        let since = time("since", self.since.as_deref())?;
        let until = time("until", self.until.as_deref())?;
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(refused("until", "must not be before since."));
        }
        Ok(AlertFilter {
            severity: severity(self.severity.as_deref())?,
            since,
            until,
            user: match &self.user {
                Some(text) => Some(user(directory, text)?),
                None => None,
            },
            target: match &self.group {
                Some(text) => Some(group(directory, text)?),
                None => None,
            },
            state: state(self.state.as_deref())?,
            text: wanted("q", self.q.as_deref())?,
        })
    }
}

/// A filter of dead letters, from a query or a body.
pub(super) fn dead_letters(
    channel: Option<&str>,
    reason: Option<&str>,
    since: Option<&str>,
) -> Result<DeadLetterFilter, ApiError> {
    Ok(DeadLetterFilter {
        channel: wanted("channel", channel)?,
        reason: wanted("reason", reason)?,
        since: time("since", since)?,
    })
}

/// A time of RFC 3339, <https://www.rfc-editor.org/rfc/rfc3339>.
pub(crate) fn time(field: &'static str, text: Option<&str>) -> Result<Option<UtcMillis>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    // A query's `+` stands for a space: who wrote it bare meant the offset's sign.
    let text = text.replace(' ', "+");
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Some(UtcMillis(time.as_millisecond()))),
        Err(_) => Err(refused(
            field,
            "must be a time such as 2026-11-23T08:00:00Z.",
        )),
    }
}

/// A number from 1 to `most`; `otherwise` where none is given.
pub(crate) fn limit(text: Option<&str>, most: usize, otherwise: usize) -> Result<usize, ApiError> {
    let Some(text) = text else {
        return Ok(otherwise);
    };
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=most).contains(limit))
        .ok_or_else(|| refused("limit", &format!("must be a number from 1 to {most}.")))
}

pub(crate) fn refused(field: &'static str, problem: &str) -> ApiError {
    ApiError::Field {
        field,
        sentence: format!("{field} {problem}"),
    }
}

fn severity(text: Option<&str>) -> Result<Option<Severity>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|unknown| ApiError::Field {
        field: "severity",
        sentence: format!("{unknown}"),
    })
}

fn state(text: Option<&str>) -> Result<Option<DeliveryState>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let mut states = DeliveryState::ALL.into_iter();
    let found = states.find(|state| state.as_str() == text);
    found.map(Some).ok_or_else(|| {
        let words = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
        refused("state", &format!("must be one of: {words}."))
    })
}

/// A text of 1 to 200 characters.
pub(crate) fn wanted(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<Box<str>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().any(char::is_control) {
        return Err(refused(field, "must not hold control characters."));
    }
    let count = text.chars().count();
    if (1..=LONGEST_TEXT).contains(&count) {
        return Ok(Some(text.into()));
    }
    let problem = format!("must be 1 to {LONGEST_TEXT} characters long, and has {count}.");
    Err(refused(field, &problem))
}

/// A user by id, who may be gone, or by the name of one who is there.
fn user(directory: &Directory, text: &str) -> Result<UserId, ApiError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let name = normalise(text.strip_prefix('@').unwrap_or(text));
    let found = directory.user_named(&name).map(|user| user.id);
    found.ok_or_else(|| {
        refused(
            "user",
            "must be a user's name or id; one who was deleted is found by the id.",
        )
    })
}

/// The target that names a group: by its name, or by the id of one that is there.
fn group(directory: &Directory, text: &str) -> Result<Box<str>, ApiError> {
    let name = match text.parse::<GroupId>() {
        Ok(id) => match directory.group(id) {
            Some(group) => group.name.to_string(),
            None => {
                let problem = "must be a group's name or id; one that was deleted is found by \
                               the name.";
                return Err(refused("group", problem));
            }
        },
        Err(_) => normalise(text.strip_prefix("@@").unwrap_or(text)),
    };
    if name.is_empty() {
        return Err(refused("group", "must not be empty."));
    }
    Ok(format!("@@{name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_an_offset_whose_plus_a_query_has_made_a_space() {
        let expected = Some(UtcMillis(1_795_420_800_000));
        for text in [
            "2026-11-23T08:00:00Z",
            "2026-11-23T17:00:00+09:00",
            "2026-11-23T17:00:00 09:00",
            "2026-11-23T08:00:00.000Z",
        ] {
            assert_eq!(time("since", Some(text)).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-11-23",
            "1795420800",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(time("since", Some(text)).is_err(), "{text}");
        }
    }
}
