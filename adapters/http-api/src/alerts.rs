//! Posting an alert.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use common::Gtid;
use producer::application::{AlertReceipt, AlertRequest, Preview};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::{Array, Object, Type},
};
use uuid::Uuid;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{DryRun, JsonText, Params, required},
    openapi::{AlertBodyFaults, AlertFaults, KeyReuse, ServerFault},
    request_log::LoggedAlert,
    router::App,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An alert to be told. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AlertBody<'a> {
    /// Whom: `@name` a user, `@@name` a group, `@all` everybody. 1 to 10,000.
    #[schema(schema_with = targets, required = true)]
    target: Option<Vec<String>>,
    /// `high`, `normal` or `low`, in any letter case.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^(?:[Hh][Ii][Gg][Hh]|[Nn][Oo][Rr][Mm][Aa][Ll]|[Ll][Oo][Ww])$", example = "low")]
    severity: Option<Text<'a>>,
    /// The text, plain; 1 to 40,000 characters.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1, max_length = 40_000, example = "node1 down")]
    message: Option<Text<'a>>,
}

/// The targets of a body, as the document shows them.
fn targets() -> Array {
    let target = Object::builder().schema_type(Type::String).pattern(Some(
        r"^(?:[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?)?$",
    ));
    Array::builder()
        .items(target)
        .min_items(Some(1))
        .max_items(Some(10_000))
        .description(Some(
            "Whom: `@name` a user, `@@name` a group, `@all` everybody. 1 to 10,000.",
        ))
        .examples([json!(["@all", "@user_name1", "@@group_name1"])])
        .build()
}

/// A string that is borrowed where the JSON has no escapes in it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What comes back: what was done, or with `dryRun=true` what would be.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AlertView {
    Accepted(AcceptedView),
    Preview(PreviewView),
}

/// The answer to an alert that was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AcceptedView {
    /// Users whom it concerns, each counted once. 0 is no error.
    #[schema(example = 2)]
    user_count: usize,
    /// The alert's id, a UUID of version 7.
    #[schema(example = "019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11")]
    alert_id: Uuid,
    /// The targets that matched nobody.
    unknown_targets: Vec<String>,
}

/// The answer to a dry run.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PreviewView {
    /// Users who would be told.
    #[schema(example = 1)]
    user_count: usize,
    /// Who would be told.
    recipients: Vec<RecipientView>,
    /// The targets that matched nobody.
    unknown_targets: Vec<String>,
}

/// A user who would be told.
#[derive(Serialize, ToSchema)]
struct RecipientView {
    /// The user's id.
    id: Uuid,
    /// The user's name.
    #[schema(example = "user_name1")]
    name: String,
    /// The first target that matched.
    #[schema(example = "@all")]
    target: String,
}

/// Posts an alert.
///
/// 200 means that it is stored durably and on its way to everybody it concerns.
/// With `dryRun=true` it answers who would be told and by which target, stores
/// nothing and tells nobody.
#[utoipa::path(post, path = "/v1/alerts", tag = "alerts", operation_id = "postAlert",
    request_body(content = AlertBody, content_type = "application/json"),
    params(
        ("dryRun" = Option<bool>, Query, description = "Only answer who would be told"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 257,
            pattern = "^(?:\"[!-~]{1,255}\"|[!#-~][!-~]{0,254}|\"(?:[!-~]{0,253}[!#-~])?)$",
            description = "1 to 255 visible ASCII characters that name this request; sent again with the same key, it is one alert. Quotation marks around it are left out"),
        ("X-Global-Transaction-Id" = Option<String>, Header,
            description = "1 to 128 of A-Z a-z 0-9 . _ -; stands on every log line that the request causes"),
    ),
    responses(
        (status = 200, description = "Accepted; with `dryRun=true`, who would be told",
            body = Envelope<AlertView>,
            headers(
                ("Idempotency-Replayed" = String, description = "`true` where an earlier request with this key did the work"),
                ("X-Global-Transaction-Id" = String, description = "The request's id"),
            ),
            examples(
                ("accepted" = (value = json!({"httpCode": 200, "httpMessage": "OK", "data": {"userCount": 2, "alertId": "019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11", "unknownTargets": []}}))),
                ("dryRun" = (value = json!({"httpCode": 200, "httpMessage": "OK", "data": {"userCount": 1, "recipients": [{"id": "11111111-1111-1111-1111-111111111111", "name": "user_name1", "target": "@user_name1"}], "unknownTargets": []}}))),
            )),
        AlertBodyFaults, KeyReuse, AlertFaults, ServerFault))]
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Params(dry_run): Params<DryRun>,
    By(caller): By,
    Extension(gtid): Extension<Gtid>,
    key: Result<IdempotencyKey, ApiError>,
    body: JsonText,
) -> Result<Response, ApiError> {
    let dry_run = dry_run.is_asked()?;
    let IdempotencyKey(key) = key?;
    let request = parse(&body)?;
    if dry_run {
        return Ok(previewed(app.api.alerts.preview(&request, &caller)?));
    }
    let receipt = app.api.alerts.accept(request, gtid, &caller, key).await?;
    Ok(accepted(receipt))
}

pub(crate) fn parse(body: &JsonText) -> Result<AlertRequest, ApiError> {
    let alert: AlertBody<'_> = body.parse()?;
    let targets = required("target", alert.target)?;
    let severity = required("severity", alert.severity)?;
    let message = required("message", alert.message)?;
    Ok(AlertRequest::parse(&targets, &severity.0, &message.0)?)
}

/// The key that the caller names the request by, if there is one. The IETF's draft writes
/// it as a quoted string, most clients bare; both are the same key.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
pub(crate) struct IdempotencyKey(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(idempotency_key(&parts.headers)?.map(str::to_owned)))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    let well_formed =
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed && values.next().is_none() {
        return Ok(Some(key));
    }
    Err(ApiError::Field {
        field: "Idempotency-Key",
        sentence: "Idempotency-Key must be one value of 1 to 255 visible ASCII characters.".into(),
    })
}

fn accepted(receipt: AlertReceipt) -> Response {
    let id = receipt.alert_id;
    let view = AlertView::Accepted(AcceptedView {
        user_count: receipt.user_count,
        alert_id: id,
        unknown_targets: receipt.unknown_targets,
    });
    let mut response = answer(StatusCode::OK, view);
    if receipt.replayed {
        response
            .headers_mut()
            .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response.extensions_mut().insert(LoggedAlert(id));
    response
}

fn previewed(preview: Preview) -> Response {
    let recipients: Vec<_> = preview
        .recipients
        .into_iter()
        .map(|recipient| RecipientView {
            id: recipient.user.id.0,
            name: recipient.user.name.to_string(),
            target: recipient.target,
        })
        .collect();
    let view = AlertView::Preview(PreviewView {
        user_count: recipients.len(),
        recipients,
        unknown_targets: preview.unknown_targets,
    });
    answer(StatusCode::OK, view)
}
