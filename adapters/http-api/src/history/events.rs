//! Alerts and deliveries as they happen: server-sent events,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use producer::{
    application::ApiTokens,
    domain::Caller,
    ports::{Event, EventId, Events, Happening, History, HistoryError},
};
use serde_json::json;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::views;
use crate::{
    access::By,
    errors::ApiError,
    health::Readiness,
    openapi::{EventFaults, ServerFault},
    redact,
    router::App,
};

/// Streams at once. Each reads the store on its own.
pub(crate) const STREAMS: usize = 64;
/// Events read at once.
const ROOM: usize = 256;
/// Chunks that wait for a slow reader, at some 100 KB.
const CHUNKS_AHEAD: usize = 4;
/// How long a reader may take none of them.
const PATIENCE: Duration = Duration::from_secs(10);
/// A sign of life where nothing happens, so that nobody on the way hangs up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams alerts and deliveries as they happen.
///
/// `event: alert` when one is accepted, `event: delivery` when a delivery gets
/// another state, `event: gap` where events were missed: more than are kept have
/// happened, or the id is not of this server. An id is good for ever: with
/// `Last-Event-ID` the stream goes on after it, else it begins now. Whoever reads
/// too slowly is cut off, and can go on like that. A comment comes every 15
/// seconds, and the stream ends where its API token is no longer taken.
#[utoipa::path(get, path = "/v1/events", tag = "history", operation_id = "streamEvents",
    params(("Last-Event-ID" = Option<String>, Header, format = "event-id", example = "12-0", pattern = "^(?:0|[1-9][0-9]{0,8})-(?:0|[1-9][0-9]{0,8})$", description = "Go on after this event")),
    responses((status = 200, description = "Events, for ever", content_type = "text/event-stream",
            body = String,
            example = json!("id: 12-0\nevent: alert\ndata: {\"alertId\":\"019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11\",\"severity\":\"high\",\"at\":\"2026-11-23T08:00:00.123Z\",\"message\":\"node1 down\",\"userCount\":2}\n\n")),
        EventFaults, ServerFault))]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    By(by): By,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = match last_event(&headers)? {
        Some(id) => id,
        None => app.api.history.now(),
    };
    let permit = app.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::TOO_MANY_STREAMS)?;
    let (sender, body) = Channel::<Bytes, ReadTooSlowly>::new(CHUNKS_AHEAD);
    let reader = Reader {
        by,
        tokens: app.api.tokens.clone(),
        history: app.api.history.clone(),
        readiness: app.api.readiness.clone(),
    };
    tokio::spawn(reader.follow(after, sender, permit));
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_event(headers: &HeaderMap) -> Result<Option<EventId>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| ApiError::Field {
        field: "Last-Event-ID",
        sentence: "Last-Event-ID must be the id of an event of this stream, such as 12-0.".into(),
    })
}

/// Who reads a stream, and of what.
struct Reader {
    by: Caller,
    tokens: Arc<ApiTokens>,
    history: Arc<dyn History>,
    readiness: Readiness,
}

impl Reader {
    /// Sends what happens until the reader is gone, too slow, or no longer let in, or the
    /// process ends. The permit is given back with the stream.
    async fn follow(
        self,
        mut after: EventId,
        mut sender: Sender<Bytes, ReadTooSlowly>,
        permit: OwnedSemaphorePermit,
    ) {
        // The first bytes show the reader that the stream is open.
        let mut chunk = Bytes::from_static(b": open\n\n");
        while self.tokens.still_admit(&self.by) {
            match timeout(PATIENCE, sender.send_data(chunk)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => {
                    tracing::info!("a reader of events was too slow and is cut off");
                    sender.abort(ReadTooSlowly);
                    break;
                }
            }
            chunk = tokio::select! {
                () = self.readiness.drained() => break,
                happened = timeout(HEARTBEAT, self.history.events(after, ROOM)) => match happened {
                    Err(_) => Bytes::from_static(b": alive\n\n"),
                    Ok(Ok(events)) => {
                        after = events.next;
                        text(&events).into()
                    }
                    Ok(Err(HistoryError::Closed)) => break,
                    Ok(Err(error)) => {
                        tracing::error!(%error, "a stream of events ends");
                        break;
                    }
                },
            };
        }
        drop(permit);
    }
}

fn text(events: &Events) -> String {
    let mut text = String::new();
    if events.gap {
        // Events before the first of these are not known any more.
        text.push_str("event: gap\ndata: {}\n\n");
    }
    for event in &events.items {
        let (name, data) = data(event);
        // Writing to a string cannot fail.
        let _ = write!(text, "id: {}\nevent: {name}\ndata: {data}\n\n", event.id);
    }
    if events.items.is_empty() {
        // The id is noted by the reader although there is no event with it.
        let _ = write!(text, "id: {}\n\n", events.next);
    }
    text
}

fn data(event: &Event) -> (&'static str, serde_json::Value) {
    let alert = &event.alert;
    let mut data = json!({
        "alertId": alert.id,
        "severity": alert.severity,
        "at": views::time(event.at),
    });
    match &event.happening {
        Happening::Accepted { user_count } => {
            data["message"] = redact::tokens(&alert.message)
                .chars()
                .take(1_000)
                .collect::<String>()
                .into();
            data["userCount"] = (*user_count).into();
            ("alert", data)
        }
        Happening::Delivery {
            id,
            destination,
            state,
        } => {
            data["deliveryId"] = json!(id);
            data["channel"] = destination.kind.as_str().into();
            data["address"] = destination.shown().into();
            data["state"] = state.as_str().into();
            ("delivery", data)
        }
    }
}

/// Why a stream ended.
#[derive(Debug)]
struct ReadTooSlowly;

impl std::fmt::Display for ReadTooSlowly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reader was too slow")
    }
}

impl std::error::Error for ReadTooSlowly {}
