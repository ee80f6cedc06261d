//! Sending many deliveries once more.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use common::UtcMillis;
use producer::{
    domain::{Caller, Invalid, Place},
    ports::{MAX_REPLAYED, Mode, Selection, Stage},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    cursor,
    query::{self, refused, time},
};
use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{self, DryRun, Json, Params, required},
    openapi::{BodyFaults, ReplayFaults, ServerFault},
    paging::Cursor,
    router::App,
};

/// Which dead letters to replay; `{}` for all. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLettersBody {
    /// Only those to channels of this kind.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$",
        example = "slack"
    )]
    channel: Option<String>,
    /// Only those whose reason holds this text.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$",
        example = "channel_not_found"
    )]
    reason: Option<String>,
    /// Only those of alerts accepted at this time or later, RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    since: Option<String>,
    /// The most to replay, 1 to 10,000, which is the default.
    #[serde(default, deserialize_with = "extract::whole")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Option<i64>,
    /// The `nextCursor` of the answer before.
    cursor: Option<Cursor>,
}

/// Which deliveries to replay: all that went to a place within a time. Further
/// fields are passed over.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DestinationBody {
    /// Of alerts accepted at this time or later, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:00:00Z")]
    since: Option<String>,
    /// Of alerts accepted at this time or earlier, RFC 3339; else until now.
    #[schema(format = DateTime, example = "2026-11-23T09:00:00Z")]
    until: Option<String>,
    /// The kind of channel, `slack` (which it is if left out) or `webhook`.
    #[schema(pattern = "^(?:slack|webhook)$", example = "slack")]
    channel: Option<String>,
    /// The place: a Slack channel id, or a webhook's whole URL.
    #[schema(value_type = String, min_length = 1, max_length = 2048, example = "test_channel_id1")]
    address: Option<String>,
    /// The most to replay, 1 to 10,000, which is the default.
    #[serde(default, deserialize_with = "extract::whole")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    limit: Option<i64>,
    /// The `nextCursor` of the answer before.
    cursor: Option<Cursor>,
}

/// What a replay came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReplayedView {
    /// How many are on their way again, or about to be (202); with `dryRun=true`, how
    /// many would be.
    #[schema(example = 12)]
    count: usize,
    /// Where to go on; null where everything was looked at.
    next_cursor: Option<String>,
}

/// Replays dead letters, at most 10,000 a call.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "history", operation_id = "replayDeadLetters",
    params(("dryRun" = Option<bool>, Query, description = "Only answer how many would be replayed")),
    request_body(content = DeadLettersBody, content_type = "application/json"),
    responses((status = 200, description = "On their way", body = Envelope<ReplayedView>),
        (status = 202, description = "The consumers are asked to", body = Envelope<ReplayedView>),
        BodyFaults, ReplayFaults, ServerFault))]
pub(crate) async fn dead_letters(
    State(app): State<Arc<App>>,
    By(by): By,
    Params(dry_run): Params<DryRun>,
    Json(body): Json<DeadLettersBody>,
) -> Result<Response, ApiError> {
    let filter = query::dead_letters(
        body.channel.as_deref(),
        body.reason.as_deref(),
        body.since.as_deref(),
    )?;
    let selection = Selection::DeadLetters(filter);
    replay(&app, selection, body.cursor, body.limit, &dry_run, &by).await
}

/// Replays all that went to one place within a time and has ended, delivered or
/// not, at most 10,000 a call: for a channel that was lost.
#[utoipa::path(post, path = "/v1/alerts/replay", tag = "history", operation_id = "replayAlerts",
    params(("dryRun" = Option<bool>, Query, description = "Only answer how many would be replayed")),
    request_body(content = DestinationBody, content_type = "application/json"),
    responses((status = 200, description = "On their way", body = Envelope<ReplayedView>),
        (status = 202, description = "The consumers are asked to", body = Envelope<ReplayedView>),
        BodyFaults, ReplayFaults, ServerFault))]
pub(crate) async fn alerts(
    State(app): State<Arc<App>>,
    By(by): By,
    Params(dry_run): Params<DryRun>,
    Json(body): Json<DestinationBody>,
) -> Result<Response, ApiError> {
    let since = required("since", time("since", body.since.as_deref())?)?;
    let until = time("until", body.until.as_deref())?.unwrap_or(UtcMillis(i64::MAX));
    if since > until {
        return Err(refused("until", "must not be before since."));
    }
    let address = required("address", body.address)?;
    let channel = body.channel.as_deref().unwrap_or("slack");
    let place = Place::parse(channel, &address).map_err(|invalid| Invalid {
        field: match invalid.field {
            "kind" => "channel",
            field => field,
        },
        ..invalid
    })?;
    let selection = Selection::Destination {
        destination: place.destination().id,
        since,
        until,
    };
    replay(&app, selection, body.cursor, body.limit, &dry_run, &by).await
}

async fn replay(
    app: &App,
    selection: Selection,
    cursor: Option<Cursor>,
    limit: Option<i64>,
    dry_run: &DryRun,
    by: &Caller,
) -> Result<Response, ApiError> {
    let mode = match dry_run.is_asked()? {
        true => Mode::DryRun,
        false => Mode::Commit,
    };
    let before = cursor::place(cursor.as_deref())?;
    let limit = limit.map(|limit| limit.to_string());
    let limit = query::limit(limit.as_deref(), MAX_REPLAYED, MAX_REPLAYED)?;
    let orders = &app.api.orders;
    let replayed = orders.replay(selection, before, limit, mode, by).await?;
    let view = ReplayedView {
        count: replayed.count,
        next_cursor: replayed.next.map(cursor::of_place),
    };
    Ok(answer(status(replayed.stage), view))
}

/// How a replay that has come so far is answered.
pub(super) fn status(stage: Stage) -> StatusCode {
    match stage {
        Stage::Done => StatusCode::OK,
        Stage::Requested => StatusCode::ACCEPTED,
    }
}
