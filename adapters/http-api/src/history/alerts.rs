//! Alerts: listed, shown, cancelled.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use common::AlertId;
use producer::ports::Cancelled;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    cursor,
    query::{AlertParams, PartParams, limit},
    views::{self, AlertDetailView, AlertView, Part},
};
use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{Params, PathId},
    openapi::{AlertIdFaults, FilterFaults, HistoryAway, ServerFault, StoreFaults},
    router::App,
};

const USUAL: usize = 100;
const MOST: usize = 1_000;

/// What cancelling came to.
#[derive(Serialize, ToSchema)]
struct CancelledView {
    /// Deliveries that will never be sent.
    #[schema(example = 3)]
    cancelled: usize,
    /// Deliveries whose request was under way: each is delivered where the service
    /// takes it, and cancelled where it does not.
    #[schema(example = 0)]
    sending: usize,
}

/// What cancelling will come to.
#[derive(Serialize, ToSchema)]
struct CancelRequestedView {
    /// Deliveries that had not ended: each is cancelled, unless it was sent before
    /// its consumer heard of it.
    #[schema(example = 3)]
    requested: usize,
}

/// Lists alerts, the last accepted first.
#[utoipa::path(get, path = "/v1/alerts", tag = "history", operation_id = "listAlerts",
    params(AlertParams),
    responses((status = 200, description = "A page", body = Envelope<Part<AlertView>>),
        FilterFaults, HistoryAway, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<AlertParams>,
) -> Result<Response, ApiError> {
    let filter = params.filter(&app.api.directory.snapshot())?;
    let before = cursor::alerts(params.cursor.as_deref())?;
    let limit = limit(params.limit.as_deref(), MOST, USUAL)?;
    let page = app.api.history.alerts(filter, before, limit).await?;
    let part = Part {
        items: page.items.iter().map(views::short).collect(),
        next_cursor: page.next.map(cursor::of_alerts),
    };
    Ok(answer(StatusCode::OK, part))
}

/// Shows an alert and what became of each of its deliveries.
#[utoipa::path(get, path = "/v1/alerts/{id}", tag = "history", operation_id = "getAlert",
    params(("id" = Uuid, Path, description = "The alert's id"), PartParams),
    responses((status = 200, description = "The alert", body = Envelope<AlertDetailView>),
        AlertIdFaults, HistoryAway, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathId(id): PathId<AlertId>,
    Params(params): Params<PartParams>,
) -> Result<Response, ApiError> {
    let from = cursor::deliveries(params.cursor.as_deref())?.unwrap_or_default();
    let limit = limit(params.limit.as_deref(), MOST, MOST)?;
    let found = app.api.history.alert(id, from, limit).await?;
    let found = found.ok_or(ApiError::NO_ALERT)?;
    let directory = app.api.directory.snapshot();
    let alert = &found.summary.alert;
    let deliveries = found.deliveries.iter();
    let view = AlertDetailView {
        alert: views::whole(&found.summary),
        deliveries: deliveries
            .map(|delivery| views::delivery(&directory, alert, delivery))
            .collect(),
        next_cursor: found.next.map(cursor::of_deliveries),
    };
    Ok(answer(StatusCode::OK, view))
}

/// Cancels an alert: what of it has not been sent never is. Where nothing is left
/// to cancel, the count is 0. Where the consumers are other processes they are asked
/// to, and the answer is 202.
#[utoipa::path(post, path = "/v1/alerts/{id}/cancel", tag = "history", operation_id = "cancelAlert",
    params(("id" = Uuid, Path, description = "The alert's id")),
    responses((status = 200, description = "Cancelled", body = Envelope<CancelledView>),
        (status = 202, description = "The consumers are asked to", body = Envelope<CancelRequestedView>),
        AlertIdFaults, StoreFaults, ServerFault))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<AlertId>,
) -> Result<Response, ApiError> {
    let cancelled = app.api.orders.cancel(id, &by).await?;
    Ok(match cancelled.ok_or(ApiError::NO_ALERT)? {
        Cancelled::Done { cancelled, sending } => {
            answer(StatusCode::OK, CancelledView { cancelled, sending })
        }
        Cancelled::Requested { deliveries } => {
            let view = CancelRequestedView {
                requested: deliveries,
            };
            answer(StatusCode::ACCEPTED, view)
        }
    })
}
