//! The request to a webhook.
//!
//! ```json
//! {"type":"alert.raised","timestamp":"2026-11-23T08:00:00.123Z","data":{
//!   "deliveryId":"019ab5d6-…","alertIds":["019ab5d6-…"],"severity":"high",
//!   "text":"[high] node1 down","part":1,"parts":1}}
//! ```
//!
//! `timestamp` is when the alert was accepted. A text in several parts is several
//! requests, with `part` from 1 to `parts`. A digest is of the type `alert.digest`:
//! instead of `alertIds` it has `alerts`, the number it carries of each severity
//! (`{"high":1,"normal":2,"low":0}`); `severity` is the highest of them, `timestamp`
//! its first alert's.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::Severity;
use consumer::{
    domain::{Fault, Refusal},
    ports::Message,
};
use hyper::{
    Method, Request, Uri,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use serde::Serialize;

use super::{lasting, secret::SigningKey};
use crate::http::US;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const GTID: HeaderName = HeaderName::from_static("x-global-transaction-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The request that carries `message`, signed for an attempt at `now`. The refusal is
/// one that no repetition can heal.
pub(super) fn build(message: &Message<'_>, now: SystemTime) -> Result<Request<Bytes>, Refusal> {
    let key = SigningKey::of(&message.credential.secret).ok_or_else(|| {
        lasting(
            Fault::Credential,
            "the webhook has no usable secret; set it again",
        )
    })?;
    let uri: Uri = message
        .destination
        .shown()
        .parse()
        .map_err(|_| lasting(Fault::Destination, "the webhook's URL cannot be called"))?;
    let id = id(message);
    let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let body = body(message);
    let signature = key.signature(&id, timestamp, &body);
    let header = |text: &str| {
        HeaderValue::try_from(text)
            .map_err(|_| lasting(Fault::Payload, "a header cannot hold the delivery's ids"))
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(USER_AGENT, US);
    headers.insert(GTID, header(message.alert.gtid.as_str())?);
    headers.insert(ID, header(&id)?);
    headers.insert(TIMESTAMP, timestamp.into());
    headers.insert(SIGNATURE, header(&signature)?);
    Ok(request)
}

/// Each part has a name of its own, so that a receiver that drops what it has seen
/// does not drop the second part.
fn id(message: &Message<'_>) -> String {
    match message.part.number {
        1 => message.delivery.to_string(),
        number => format!("{}-{number}", message.delivery),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    delivery_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_ids: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Counts>,
    severity: &'static str,
    text: &'a str,
    part: u16,
    parts: u16,
}

#[derive(Serialize)]
struct Counts {
    high: u32,
    normal: u32,
    low: u32,
}

fn body(message: &Message<'_>) -> Vec<u8> {
    let alert = message.alert;
    let accepted = jiff::Timestamp::from_millisecond(alert.accepted_at.0).unwrap_or_default();
    let digest = message.digest;
    let severity = digest.map_or(alert.severity, |digest| {
        let carried = Severity::BY_URGENCY.into_iter();
        carried
            .into_iter()
            .find(|severity| digest.of(*severity) > 0)
            .unwrap_or(alert.severity)
    });
    let body = Body {
        r#type: match digest {
            Some(_) => "alert.digest",
            None => "alert.raised",
        },
        timestamp: format!("{accepted:.3}"),
        data: Data {
            delivery_id: message.delivery.to_string(),
            alert_ids: digest.is_none().then(|| [alert.id.to_string()]),
            alerts: digest.map(|digest| Counts {
                high: digest.of(Severity::High),
                normal: digest.of(Severity::Normal),
                low: digest.of(Severity::Low),
            }),
            severity: severity.as_str(),
            text: message.text,
            part: message.part.number,
            parts: message.part.of,
        },
    };
    let json = serde_json::to_vec(&body);
    debug_assert!(json.is_ok(), "strings and numbers always serialise");
    json.unwrap_or_default()
}
