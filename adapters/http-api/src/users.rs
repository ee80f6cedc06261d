//! Users.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use common::{UserId, UtcMillis};
use producer::domain::{
    Address, Directory, DirectoryError, Effect, Token, User, UserName, UserRecord,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{Json, Params, PathId, required},
    openapi::{BodyFaults, ParamFaults, ServerFault, UserConflict, UserIdFaults, WriteFaults},
    paging::{List, ListParams, Page, PageRequest},
    router::App,
};

/// A user to be written. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserBody {
    /// Unique, 1 to 30 characters; not `all`, and no `@` at the beginning.
    #[schema(value_type = String, min_length = 1, max_length = 30, pattern = "^[^@\\s\\x00-\\x1f\\x7f-\\x9f](?:[^\\x00-\\x1f\\x7f-\\x9f]{0,28}[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", example = "user_name1")]
    name: Option<String>,
    /// Slack's token for this user; never shown again. A `PUT` without it keeps
    /// the one that the user has.
    #[schema(value_type = Option<String>, write_only, min_length = 1, max_length = 2048, pattern = "^[!-~]{1,2048}$", example = "test_token1")]
    token: Option<String>,
    /// Slack's id of the channel at which the user is told.
    #[schema(value_type = String, min_length = 1, max_length = 200, pattern = "^[^\\s\\x00-\\x1f\\x7f-\\x9f](?:[^\\x00-\\x1f\\x7f-\\x9f]{0,198}[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", example = "test_channel_id1")]
    channel_id: Option<String>,
}

/// A user as the API shows them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView {
    #[schema(example = "11111111-1111-1111-1111-111111111111")]
    id: Uuid,
    #[schema(example = "user_name1")]
    name: String,
    #[schema(example = "test_channel_id1")]
    channel_id: String,
    /// The last four characters of a token of 16 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_hint: Option<String>,
    /// The groups that the user is in.
    groups: Vec<Named>,
    /// RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    updated_at: String,
}

/// A user in a group, or a group of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Named {
    #[schema(example = "22222222-2222-2222-2222-222222222222")]
    pub(crate) id: Uuid,
    pub(crate) name: String,
}

/// Lists users in the order of their names.
#[utoipa::path(get, path = "/v1/users", tag = "users", operation_id = "listUsers",
    params(ListParams),
    responses((status = 200, description = "A page", body = Envelope<Page<UserView>>),
        ParamFaults, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let request = PageRequest::parse(params, List::Users)?;
    let directory = app.api.directory.snapshot();
    let found = directory.users_by_name(&request.prefix, request.after.as_deref());
    let page = request.fill(
        found,
        |user| view(&directory, user),
        |user| user.name.as_str(),
        |view| view.groups.len(),
    );
    Ok(answer(StatusCode::OK, page))
}

/// Creates a user under a new id.
#[utoipa::path(post, path = "/v1/users", tag = "users", operation_id = "createUser",
    request_body(content = UserBody, content_type = "application/json"),
    responses((status = 201, description = "Created", body = Envelope<UserView>,
            headers(("Location" = String, description = "Where the user is"))),
        BodyFaults, UserConflict, WriteFaults, ServerFault))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    By(by): By,
    uri: Uri,
    Json(body): Json<UserBody>,
) -> Result<Response, ApiError> {
    let id = UserId(app.api.directory.new_id());
    let directory = app
        .api
        .directory
        .create_user(record(id, body)?, &by)
        .await?;
    let location = format!("{}/{id}", uri.path());
    Ok(created(location, shown(&directory, id)?))
}

/// Shows a user.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users", operation_id = "getUser",
    params(("id" = Uuid, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = Envelope<UserView>),
        UserIdFaults, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathId(id): PathId<UserId>,
) -> Result<Response, ApiError> {
    let view = shown(&app.api.directory.snapshot(), id)?;
    Ok(answer(StatusCode::OK, view))
}

/// Creates or replaces a user under an id that the caller chose. `token` left
/// out keeps the one that the user has; a new user needs one. The user's further
/// destinations stay as they are.
#[utoipa::path(put, path = "/v1/users/{id}", tag = "users", operation_id = "putUser",
    params(("id" = Uuid, Path, description = "The user's id")),
    request_body(content = UserBody, content_type = "application/json"),
    responses((status = 200, description = "Replaced", body = Envelope<UserView>),
        (status = 201, description = "Created", body = Envelope<UserView>,
            headers(("Location" = String, description = "Where the user is"))),
        BodyFaults, UserConflict, WriteFaults, ServerFault))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<UserId>,
    uri: Uri,
    Json(body): Json<UserBody>,
) -> Result<Response, ApiError> {
    let (directory, effect) = app.api.directory.put_user(record(id, body)?, &by).await?;
    let view = shown(&directory, id)?;
    Ok(match effect {
        Effect::Created => created(uri.path().to_owned(), view),
        Effect::Updated | Effect::Unchanged => answer(StatusCode::OK, view),
    })
}

/// Deletes a user and their subscriptions. What waits for them is still delivered.
#[utoipa::path(delete, path = "/v1/users/{id}", tag = "users", operation_id = "deleteUser",
    params(("id" = Uuid, Path, description = "The user's id")),
    responses((status = 204, description = "Deleted"), UserIdFaults, WriteFaults, ServerFault))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, ApiError> {
    app.api.directory.remove_user(id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn record(id: UserId, body: UserBody) -> Result<UserRecord, ApiError> {
    Ok(UserRecord {
        id,
        name: UserName::parse(&required("name", body.name)?)?,
        address: Address::parse(&required("channelId", body.channel_id)?)?,
        token: body.token.as_deref().map(Token::parse).transpose()?,
        destinations: None,
    })
}

fn shown(directory: &Directory, id: UserId) -> Result<UserView, ApiError> {
    let user = directory.user(id);
    let user = user.ok_or(ApiError::Directory(DirectoryError::NoSuchUser))?;
    Ok(view(directory, user))
}

fn view(directory: &Directory, user: &User) -> UserView {
    let first = user.destinations.first();
    let groups = directory.groups_of(user.id);
    UserView {
        id: user.id.0,
        name: user.name.to_string(),
        channel_id: first.destination.address.to_string(),
        token_hint: first.credential.secret.hint(),
        groups: groups
            .map(|group| Named {
                id: group.id.0,
                name: group.name.to_string(),
            })
            .collect(),
        created_at: rfc3339(user.created_at),
        updated_at: rfc3339(user.updated_at),
    }
}

/// A 201 for what is now at `location`.
pub(crate) fn created<T: Serialize>(location: String, view: T) -> Response {
    let location = [(header::LOCATION, location)];
    (location, answer(StatusCode::CREATED, view)).into_response()
}

/// A stored time, in UTC; the beginning of time for one that no calendar has.
pub(crate) fn rfc3339(time: UtcMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0)
        .unwrap_or_default()
        .to_string()
}
