//! How destinations stand: those that are not at rest or not well, and the breakers.

use std::sync::Arc;

use axum::{
    extract::{FromRef, State},
    http::StatusCode,
    response::Response,
};
use common::{
    ChannelKind, Severity, UtcMillis,
    status::{BreakerStatus, DestinationState, DestinationStatus, StatusFilter},
};
use producer::ports::Destinations;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::Params,
    health::Operations,
    history::{
        cursor,
        query::{limit, refused, wanted},
    },
    openapi::{FilterFaults, NotDelivering, ServerFault},
    paging::Cursor,
    redact,
    router::App,
    users::rfc3339,
};

const USUAL: usize = 100;
const MOST: usize = 1_000;

/// Which destinations to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DestinationParams {
    /// What the next delivery waits for: `sending`, `queued`, `folding`, `pace`,
    /// `backoff`, `retry_after`, `host_breaker`, `credential_breaker`,
    /// `credential_pace`, `aside`, `parked` or `resting`.
    #[param(
        pattern = "^(?:sending|queued|folding|pace|backoff|retry_after|host_breaker|credential_breaker|credential_pace|aside|parked|resting)$"
    )]
    state: Option<String>,
    /// Of this kind, such as `slack`.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
    )]
    channel: Option<String>,
    /// The most items of the page, 1 to 1000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// The `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

/// A page of destinations, and the breakers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DestinationsView {
    /// In the order of their ids.
    items: Vec<DestinationView>,
    /// Where the next page begins; null on the last. A page may have fewer items than
    /// asked for, even none, and yet not be the last: the search is bounded.
    next_cursor: Option<String>,
    /// Every breaker that is not closed, and every credential that is slowed; on each
    /// page the same, as of then.
    breakers: Vec<BreakerView>,
    /// Whether there are more breakers than these, of which there are 1,000 at most.
    more_breakers: bool,
}

/// A destination that is not at rest or not well.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DestinationView {
    /// Names the destination in this list.
    #[schema(example = "4420853614831390542")]
    id: String,
    /// The kind of channel; left out where nobody knows more than the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "slack")]
    channel: Option<String>,
    /// The place within the service: a Slack channel id, a webhook's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "test_channel_id1")]
    address: Option<String>,
    /// The host that it shares with others, as the breakers name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "slack")]
    host: Option<String>,
    /// Whether it is the place's own line for warnings to the operators.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    for_warnings: bool,
    /// What the next delivery waits for. `sending`: its request is under way. `queued`:
    /// its turn. `folding`: a digest that is being recorded. `pace`: the destination's
    /// pace. `backoff`: the time after a failure. `retry_after`: the time that the
    /// service asked for. `host_breaker`, `credential_breaker`: a breaker.
    /// `credential_pace`: the rate of a slowed credential. `aside`: the time after a
    /// refusal for its own content. `parked`: room in memory. `resting`: nothing waits,
    /// but it failed last or was limited lately.
    #[schema(example = "retry_after")]
    state: &'static str,
    /// Until when at least, RFC 3339; left out where nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-23T08:00:30.000Z")]
    until: Option<String>,
    /// Deliveries in memory that wait.
    waiting: CountsView,
    /// Deliveries set aside on disk.
    parked: CountsView,
    /// Deliveries that the request under way carries.
    #[schema(example = 0)]
    in_flight: u32,
    /// Whether what waits is being folded into digests.
    folding: bool,
    /// How fast it is sent to; left out where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceView>,
    /// Failures in a row that were not a delivery's own.
    #[schema(example = 1)]
    failures: u32,
    /// When the first of them was, RFC 3339; left out where that was before a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// What was said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "rate_limited")]
    error: Option<String>,
}

/// Deliveries by severity.
#[derive(Serialize, ToSchema)]
struct CountsView {
    high: u64,
    normal: u64,
    low: u64,
}

/// Messages a second.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaceView {
    /// Now; below the usual after it was limited.
    #[schema(example = 0.5)]
    per_second: f64,
    /// While it does not limit us.
    #[schema(example = 1.0)]
    usual: f64,
}

/// A breaker that is not closed, or a credential that is slowed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BreakerView {
    /// `host` or `credential`.
    #[schema(example = "host")]
    kind: &'static str,
    /// The channel kind and the URL's host, if destinations have one; a credential's
    /// number.
    #[schema(example = "webhook https://example.org")]
    name: String,
    /// `open`: nothing passes. `half_open`: one request tries whether it works again.
    /// `closed`: all is well, but a credential is slowed.
    #[schema(example = "open")]
    state: &'static str,
    /// Since when it has not been closed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    since: Option<String>,
    /// When the next request tries whether it works again, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    next_probe_at: Option<String>,
    /// Failures in a row since it was last closed.
    #[schema(example = 2)]
    failures: u32,
    /// What was said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "HTTP 503")]
    error: Option<String>,
    /// Destinations in memory that wait for it.
    #[schema(example = 5)]
    waiting: usize,
    /// Messages a second that a credential is slowed to, since the service limits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowed_to: Option<f64>,
}

/// Who knows how destinations stand, in whichever process this is.
#[derive(Clone)]
pub(crate) struct Asked(Arc<dyn Destinations>);

impl FromRef<Arc<App>> for Asked {
    fn from_ref(app: &Arc<App>) -> Self {
        Self(app.api.destinations.clone())
    }
}

impl FromRef<Operations> for Asked {
    fn from_ref(process: &Operations) -> Self {
        Self(process.destinations.clone())
    }
}

/// Lists the destinations that are not at rest or not well, what each waits for and
/// until when; and the breakers of hosts and credentials. What is not named is at rest
/// and well.
#[utoipa::path(get, path = "/v1/destinations", tag = "operation", operation_id = "inspectDestinations",
    params(DestinationParams),
    responses((status = 200, description = "A page", body = Envelope<DestinationsView>),
        FilterFaults, NotDelivering, ServerFault))]
pub(crate) async fn list(
    State(Asked(destinations)): State<Asked>,
    Params(params): Params<DestinationParams>,
) -> Result<Response, ApiError> {
    let channel = wanted("channel", params.channel.as_deref())?;
    let filter = StatusFilter {
        state: state(params.state.as_deref())?,
        channel: channel.map(ChannelKind::new),
    };
    let after = cursor::destination(params.cursor.as_deref())?;
    let limit = limit(params.limit.as_deref(), MOST, USUAL)?;
    let page = destinations.status(filter, after, limit).await?;
    let view = DestinationsView {
        items: page.destinations.iter().map(destination).collect(),
        next_cursor: page.next.map(cursor::of_destination),
        breakers: page.breakers.iter().map(breaker).collect(),
        more_breakers: page.more_breakers,
    };
    Ok(answer(StatusCode::OK, view))
}

fn state(text: Option<&str>) -> Result<Option<DestinationState>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let mut states = DestinationState::ALL.into_iter();
    let found = states.find(|state| state.as_str() == text);
    found.map(Some).ok_or_else(|| {
        let words = DestinationState::ALL
            .map(DestinationState::as_str)
            .join(", ");
        refused("state", &format!("must be one of: {words}."))
    })
}

fn destination(status: &DestinationStatus) -> DestinationView {
    let place = status.destination.as_deref();
    let trouble = status.trouble.as_ref();
    DestinationView {
        id: status.id.0.to_string(),
        channel: place.map(|place| place.kind.to_string()),
        address: place.map(|place| place.shown()),
        host: status.host.as_deref().map(str::to_owned),
        for_warnings: status.id.is_for_warnings(),
        state: status.state.as_str(),
        until: status.until.map(rfc3339),
        waiting: counts(status.waiting),
        parked: counts(status.parked),
        in_flight: status.in_flight,
        folding: status.folding,
        pace: status.pace.map(|pace| PaceView {
            per_second: thousandths(pace.per_second),
            usual: thousandths(pace.usual),
        }),
        failures: trouble.map_or(0, |trouble| trouble.failures),
        failing_since: trouble.and_then(|trouble| trouble.since).map(rfc3339),
        error: trouble.and_then(|trouble| error(&trouble.error)),
    }
}

fn breaker(status: &BreakerStatus) -> BreakerView {
    let time = |at: Option<UtcMillis>| at.map(rfc3339);
    BreakerView {
        kind: status.of.kind(),
        name: status.of.name(),
        state: status.state.as_str(),
        since: time(status.since),
        next_probe_at: time(status.probe_at),
        failures: status.failures,
        error: error(&status.error),
        waiting: status.waiting,
        slowed_to: status.slowed_to.map(thousandths),
    }
}

fn counts(by_code: [u64; 3]) -> CountsView {
    let of = |severity: Severity| by_code[usize::from(severity.code())];
    CountsView {
        high: of(Severity::High),
        normal: of(Severity::Normal),
        low: of(Severity::Low),
    }
}

/// What a service said, without anything that looks like a token.
fn error(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| redact::tokens(text).into_owned())
}

/// A rate as people read it.
fn thousandths(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}
