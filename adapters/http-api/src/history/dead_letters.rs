//! Dead letters: listed, discarded.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use common::DeliveryId;

use super::{
    cursor,
    query::{self, DeadLetterParams, limit},
    views::{self, DeliveryDetailView, Part},
};
use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{Params, PathId},
    openapi::{DeadLetterIdFaults, FilterFaults, HistoryAway, ServerFault, StoreFaults},
    router::App,
};

const USUAL: usize = 100;
const MOST: usize = 1_000;

/// Lists dead letters: deliveries that were given up. Of the last accepted alert
/// first.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "history", operation_id = "listDeadLetters",
    params(DeadLetterParams),
    responses((status = 200, description = "A page", body = Envelope<Part<DeliveryDetailView>>),
        FilterFaults, HistoryAway, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<DeadLetterParams>,
) -> Result<Response, ApiError> {
    let filter = query::dead_letters(
        params.channel.as_deref(),
        params.reason.as_deref(),
        params.since.as_deref(),
    )?;
    let before = cursor::place(params.cursor.as_deref())?;
    let limit = limit(params.limit.as_deref(), MOST, USUAL)?;
    let page = app.api.history.dead_letters(filter, before, limit).await?;
    let directory = app.api.directory.snapshot();
    let items = page.items.iter();
    let part = Part {
        items: items
            .map(|letter| views::dead_letter(&directory, letter))
            .collect(),
        next_cursor: page.next.map(cursor::of_place),
    };
    Ok(answer(StatusCode::OK, part))
}

/// Discards a dead letter. It is no longer listed nor kept for replay; its record
/// stays in the history, with the time.
#[utoipa::path(delete, path = "/v1/dead-letters/{id}", tag = "history", operation_id = "discardDeadLetter",
    params(("id" = Uuid, Path, description = "The delivery's id")),
    responses((status = 204, description = "Discarded"),
        DeadLetterIdFaults, StoreFaults, ServerFault))]
pub(crate) async fn discard(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<DeliveryId>,
) -> Result<StatusCode, ApiError> {
    match app.api.orders.discard(id, &by).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NO_DEAD_LETTER),
    }
}
