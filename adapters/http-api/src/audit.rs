//! The audit log: who did what.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use producer::{domain::AuditEntry, ports::AuditFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::Params,
    history::{
        cursor,
        query::{limit, refused, time, wanted},
    },
    openapi::{AuditAway, FilterFaults, ServerFault},
    paging::Cursor,
    router::App,
    users::rfc3339,
};

const USUAL: usize = 100;
const MOST: usize = 1_000;

/// Which lines of the audit log to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditParams {
    /// Written at this time or later, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Written at this time or earlier, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
    /// By this one: the id of an API token, `local` or `anybody`.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
    )]
    who: Option<String>,
    /// The most lines of the page, 1 to 1000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditPage {
    /// The last first.
    items: Vec<AuditEntryView>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// A line of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditEntryView {
    /// In the order in which they were written; there may be gaps.
    #[schema(example = 1)]
    sequence: u64,
    /// RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    at: String,
    /// The id of an API token; `local` for a command on the data itself; `anybody` where
    /// the API asked for no token.
    #[schema(example = "33333333-3333-3333-3333-333333333333")]
    who: String,
    /// The address that it came from; left out where it came from the machine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
    /// `user.created`, `group.subscribed`, `token.revoked`, `dead_letters.replayed`, …
    #[schema(example = "user.created")]
    action: String,
    /// The id of what it was done to, where that is one thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "11111111-1111-1111-1111-111111111111")]
    subject: Option<Uuid>,
    /// More of it, for people; left out where there is no more.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(example = "user_name1")]
    detail: String,
}

/// Lists who changed users, groups, API tokens and deliveries, the last first. Lines are
/// never changed or removed.
#[utoipa::path(get, path = "/v1/audit", tag = "operation", operation_id = "listAudit",
    params(AuditParams),
    responses((status = 200, description = "A page", body = Envelope<AuditPage>),
        FilterFaults, AuditAway, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<AuditParams>,
) -> Result<Response, ApiError> {
    let before = cursor::audit(params.cursor.as_deref())?;
    let limit = limit(params.limit.as_deref(), MOST, USUAL)?;
    let filter = AuditFilter {
        since: time("since", params.since.as_deref())?,
        until: time("until", params.until.as_deref())?,
        who: wanted("who", params.who.as_deref())?,
    };
    if filter.since > filter.until && filter.until.is_some() {
        return Err(refused("until", "must not be before since."));
    }
    // One more says whether there is another page.
    let mut entries = app.api.audit.entries(filter, before, limit + 1).await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| has_more);
    let next_cursor = last.map(|entry| cursor::of_audit(entry.sequence));
    let items = entries.into_iter().map(view).collect();
    Ok(answer(StatusCode::OK, AuditPage { items, next_cursor }))
}

fn view(entry: AuditEntry) -> AuditEntryView {
    AuditEntryView {
        sequence: entry.sequence,
        at: rfc3339(entry.at),
        who: entry.who.into(),
        address: entry.address.map(String::from),
        action: entry.action.into(),
        subject: entry.subject,
        detail: entry.detail.into(),
    }
}
