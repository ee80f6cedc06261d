//! The places that a user is told at.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{UserDestinationId, UserId};
use producer::domain::{
    DestinationRecord, Directory, DirectoryError, Effect, MAX_DESTINATIONS, Place, User,
    UserDestination,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{self, Json, PathId, PathIds, required},
    openapi::{
        BodyFaults, DestinationConflict, DestinationIdFaults, FirstConflict, ServerFault,
        UserIdFaults, WriteFaults,
    },
    router::App,
    users::created,
};

/// A destination to be written. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserDestinationBody {
    /// `slack` or `webhook`.
    #[schema(value_type = String, pattern = "^(?:slack|webhook)$", example = "webhook")]
    kind: Option<String>,
    /// A Slack channel id of 1 to 200 characters, or a webhook's URL of at most 2,048,
    /// with `https` (`http` where the server's settings allow the address).
    #[schema(value_type = String, min_length = 1, max_length = 2048, example = "https://example.org/hook")]
    address: Option<String>,
    /// A Slack token, or the webhook's secret: `whsec_` and 24 to 64 bytes in base64.
    /// Never shown again. A `PUT` without it keeps the one that the destination has.
    #[schema(value_type = Option<String>, write_only, min_length = 1, max_length = 2048, pattern = "^[!-~]{1,2048}$", example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    credential: Option<String>,
    /// The place among the user's destinations, 1 to 15; the first of all, which is
    /// `token` and `channelId`, has 0. Left out: the last, or the one that it has.
    #[serde(default, deserialize_with = "extract::whole")]
    #[schema(value_type = Option<usize>, minimum = 1, maximum = 15)]
    order: Option<i64>,
}

/// A destination as the API shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserDestinationView {
    /// The first one's is the user's own.
    #[schema(example = "019ab5d6-1f3c-4c55-9c1e-4b0a6c1f5e11")]
    id: Uuid,
    #[schema(example = "webhook")]
    kind: String,
    #[schema(example = "https://example.org/hook")]
    address: String,
    /// The last four characters of a credential of 16 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_hint: Option<String>,
    /// The place among the user's destinations, from 0.
    #[schema(example = 1)]
    order: usize,
}

/// All destinations of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserDestinationsView {
    /// In their order.
    destinations: Vec<UserDestinationView>,
}

/// Lists the places that a user is told at, in their order. Every alert goes to all
/// of them.
#[utoipa::path(get, path = "/v1/users/{id}/destinations", tag = "users", operation_id = "listDestinations",
    params(("id" = Uuid, Path, description = "The user's id")),
    responses((status = 200, description = "All of them", body = Envelope<UserDestinationsView>),
        UserIdFaults, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PathId(id): PathId<UserId>,
) -> Result<Response, ApiError> {
    let directory = app.api.directory.snapshot();
    let destinations = views(user(&directory, id)?).collect();
    Ok(answer(
        StatusCode::OK,
        UserDestinationsView { destinations },
    ))
}

/// Creates a destination of a user under a new id.
#[utoipa::path(post, path = "/v1/users/{id}/destinations", tag = "users", operation_id = "createDestination",
    params(("id" = Uuid, Path, description = "The user's id")),
    request_body(content = UserDestinationBody, content_type = "application/json"),
    responses((status = 201, description = "Created", body = Envelope<UserDestinationView>,
            headers(("Location" = String, description = "Where the destination is"))),
        UserIdFaults, BodyFaults, DestinationConflict, WriteFaults, ServerFault))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(user): PathId<UserId>,
    uri: Uri,
    Json(body): Json<UserDestinationBody>,
) -> Result<Response, ApiError> {
    let id = UserDestinationId(app.api.directory.new_id());
    let (record, order) = record(id, body)?;
    let admin = &app.api.directory;
    let directory = admin.create_destination(user, record, order, &by).await?;
    let location = format!("{}/{id}", uri.path());
    Ok(created(location, shown(&directory, user, id)?))
}

/// Shows a destination of a user.
#[utoipa::path(get, path = "/v1/users/{id}/destinations/{destinationId}", tag = "users", operation_id = "getDestination",
    params(("id" = Uuid, Path, description = "The user's id"),
        ("destinationId" = Uuid, Path, description = "The destination's id")),
    responses((status = 200, description = "The destination", body = Envelope<UserDestinationView>),
        DestinationIdFaults, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathIds(user, id): PathIds,
) -> Result<Response, ApiError> {
    let view = shown(&app.api.directory.snapshot(), user, id)?;
    Ok(answer(StatusCode::OK, view))
}

/// Creates or replaces a destination of a user under an id that the caller chose.
/// `credential` left out keeps the one that it has. The first destination is the
/// user's `token` and `channelId`, and is changed with `PUT /v1/users/{id}` alone.
#[utoipa::path(put, path = "/v1/users/{id}/destinations/{destinationId}", tag = "users", operation_id = "putDestination",
    params(("id" = Uuid, Path, description = "The user's id"),
        ("destinationId" = Uuid, Path, description = "The destination's id")),
    request_body(content = UserDestinationBody, content_type = "application/json"),
    responses((status = 200, description = "Replaced", body = Envelope<UserDestinationView>),
        (status = 201, description = "Created", body = Envelope<UserDestinationView>,
            headers(("Location" = String, description = "Where the destination is"))),
        UserIdFaults, BodyFaults, DestinationConflict, WriteFaults, ServerFault))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    By(by): By,
    PathIds(user, id): PathIds,
    uri: Uri,
    Json(body): Json<UserDestinationBody>,
) -> Result<Response, ApiError> {
    let (record, order) = record(id, body)?;
    let admin = &app.api.directory;
    let (directory, effect) = admin.put_destination(user, record, order, &by).await?;
    let view = shown(&directory, user, id)?;
    Ok(match effect {
        Effect::Created => created(uri.path().to_owned(), view),
        Effect::Updated | Effect::Unchanged => answer(StatusCode::OK, view),
    })
}

/// Deletes a destination of a user; the first cannot go. What waits for it is still
/// delivered.
#[utoipa::path(delete, path = "/v1/users/{id}/destinations/{destinationId}", tag = "users", operation_id = "deleteDestination",
    params(("id" = Uuid, Path, description = "The user's id"),
        ("destinationId" = Uuid, Path, description = "The destination's id")),
    responses((status = 204, description = "Deleted"),
        DestinationIdFaults, FirstConflict, WriteFaults, ServerFault))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    By(by): By,
    PathIds(user, id): PathIds,
) -> Result<StatusCode, ApiError> {
    app.api.directory.remove_destination(user, id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn record(
    id: UserDestinationId,
    body: UserDestinationBody,
) -> Result<(DestinationRecord, Option<usize>), ApiError> {
    let kind = required("kind", body.kind)?;
    let place = Place::parse(&kind, &required("address", body.address)?)?;
    let credential = body.credential.as_deref();
    let credential = credential.map(|text| place.credential(text)).transpose()?;
    let record = DestinationRecord {
        id,
        place,
        credential,
    };
    Ok((record, body.order.map(order).transpose()?))
}

fn order(given: i64) -> Result<usize, ApiError> {
    let last = MAX_DESTINATIONS - 1;
    let order = usize::try_from(given).ok();
    order
        .filter(|order| (1..=last).contains(order))
        .ok_or_else(|| ApiError::Field {
            field: "order",
            sentence: format!("order must be 1 to {last}."),
        })
}

fn user(directory: &Directory, id: UserId) -> Result<&User, ApiError> {
    let user = directory.user(id);
    let user = user.ok_or(ApiError::Directory(DirectoryError::NoSuchUser))?;
    Ok(user)
}

fn shown(
    directory: &Directory,
    of: UserId,
    id: UserDestinationId,
) -> Result<UserDestinationView, ApiError> {
    let view = views(user(directory, of)?).find(|view| view.id == id.0);
    view.ok_or(ApiError::Directory(DirectoryError::NoSuchDestination))
}

fn views(user: &User) -> impl Iterator<Item = UserDestinationView> {
    let named = user.destinations.named(user.id).enumerate();
    named.map(|(order, (id, place))| view(id, place, order))
}

fn view(id: UserDestinationId, place: &UserDestination, order: usize) -> UserDestinationView {
    UserDestinationView {
        id: id.0,
        kind: place.destination.kind.to_string(),
        address: place.destination.shown(),
        credential_hint: place.credential.secret.hint(),
        order,
    }
}
