//! The keys that stored secrets are sealed with. No key is ever in a request or an answer.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use producer::ports::Rotation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{self, Params},
    openapi::{NoNewKey, ParamFaults, ServerFault},
    router::App,
};

/// The `keepOld` parameter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeepOld {
    keep_old: Option<String>,
}

/// What a rotation came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotationView {
    /// The id of the key that everything is sealed with now.
    #[schema(example = "k2")]
    key_id: String,
    /// How many secrets were sealed anew.
    #[schema(example = 2)]
    resealed: usize,
    /// The ids of the old keys that were taken from the process's own file; others are in
    /// the hands of whoever runs it.
    #[schema(example = json!(["k1"]))]
    dropped: Vec<String>,
}

/// Seals every stored token and webhook secret with a new key, while they are in use. With
/// a data folder the key is made, unless somebody has put one first in the file; where
/// several processes share a database, put it first among the keys of each before. One
/// that ended too soon is gone on with by the next.
#[utoipa::path(post, path = "/v1/secrets/rotate", tag = "operation", operation_id = "rotateSecrets",
    params(("keepOld" = Option<bool>, Query, description = "Leave the old keys in the file")),
    responses((status = 200, description = "Everything is sealed with the new key",
            body = Envelope<RotationView>),
        ParamFaults, NoNewKey, ServerFault))]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    By(by): By,
    Params(params): Params<KeepOld>,
) -> Result<Response, ApiError> {
    let keep_old = extract::truth("keepOld", params.keep_old.as_deref())?;
    let secrets = app.api.secrets.clone();
    // It goes on even if the caller hangs up.
    let rotating = tokio::spawn(async move { secrets.rotate(keep_old, &by).await });
    let rotated = rotating.await.map_err(|error| ApiError::Internal {
        inside: error.to_string(),
    })?;
    let Rotation {
        key_id,
        resealed,
        dropped,
    } = rotated?;
    let view = RotationView {
        key_id,
        resealed,
        dropped,
    };
    Ok(answer(StatusCode::OK, view))
}
