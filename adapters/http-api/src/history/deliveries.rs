//! One delivery: shown, sent again.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use common::DeliveryId;

use super::{
    replay::status,
    views::{self, DeliveryDetailView},
};
use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::PathId,
    openapi::{DeliveryIdFaults, HistoryAway, ReplayConflict, ReplayFaults, ServerFault},
    router::App,
};

/// Shows a delivery and the alert that it delivers.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "history", operation_id = "getDelivery",
    params(("id" = Uuid, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery", body = Envelope<DeliveryDetailView>),
        DeliveryIdFaults, HistoryAway, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathId(id): PathId<DeliveryId>,
) -> Result<Response, ApiError> {
    Ok(answer(StatusCode::OK, shown(&app, id).await?))
}

/// Sends a delivery that has ended once more, with the user's current token. One
/// that the service had already is marked as repeated. Where the consumers are other
/// processes the answer is 202, and the record changes when they have heard of it.
#[utoipa::path(post, path = "/v1/deliveries/{id}/replay", tag = "history", operation_id = "replayDelivery",
    params(("id" = Uuid, Path, description = "The delivery's id")),
    responses((status = 200, description = "On its way", body = Envelope<DeliveryDetailView>),
        (status = 202, description = "The consumers are asked to; the delivery as it was", body = Envelope<DeliveryDetailView>),
        DeliveryIdFaults, ReplayConflict, ReplayFaults, ServerFault))]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<DeliveryId>,
) -> Result<Response, ApiError> {
    let replayed = app.api.orders.replay_one(id, &by).await?;
    let stage = replayed.ok_or(ApiError::NO_DELIVERY)?;
    Ok(answer(status(stage), shown(&app, id).await?))
}

async fn shown(app: &App, id: DeliveryId) -> Result<DeliveryDetailView, ApiError> {
    let found = app.api.history.delivery(id).await?;
    let found = found.ok_or(ApiError::NO_DELIVERY)?;
    let directory = app.api.directory.snapshot();
    let message = views::text(&found.alert.message);
    Ok(views::detail(
        &directory,
        &found.alert,
        &found.delivery,
        message,
    ))
}
