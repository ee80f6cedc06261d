//! Notification groups and who is in them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{GroupId, UserId};
use producer::domain::{
    Description, Directory, DirectoryError, Effect, Group, GroupName, GroupRecord,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{self, Json, Params, PathId, required},
    openapi::{
        BodyFaults, GroupConflict, GroupIdFaults, MemberMissing, ParamFaults, ServerFault,
        SubscriptionConflict, SubscriptionMissing, WriteFaults,
    },
    paging::{List, ListParams, Page, PageRequest},
    router::App,
    users::{Named, created},
};

/// A group to be written. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
pub(crate) struct GroupBody {
    /// Unique, 5 to 30 characters.
    #[schema(value_type = String, min_length = 5, max_length = 30, pattern = "^[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]{3,28}[^\\s\\x00-\\x1f\\x7f-\\x9f]$", example = "group_name1")]
    name: Option<String>,
    /// What it is for, 5 to 200 characters.
    #[schema(value_type = String, min_length = 5, max_length = 200, pattern = "^[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]{3,198}[^\\s\\x00-\\x1f\\x7f-\\x9f]$", example = "test_desc1")]
    desc: Option<String>,
    /// Its members, by id. Left out, a group keeps those it has.
    users: Option<Vec<MemberBody>>,
}

/// A member: the id alone, or an object with it as the API shows members.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum MemberBody {
    Id(#[schema(inline)] MemberId),
    Shown {
        #[schema(inline)]
        id: MemberId,
    },
}

/// A user's id, which is still to be read.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = Uuid)]
pub(crate) struct MemberId(String);

/// A group as the API shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupView {
    #[schema(example = "11111111-1111-1111-1111-111111111111")]
    id: Uuid,
    #[schema(example = "group_name1")]
    name: String,
    #[schema(example = "test_desc1")]
    desc: String,
    /// Its members.
    users: Vec<Named>,
}

/// A user and a group.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionBody {
    /// The group's id.
    #[schema(value_type = Uuid, example = "11111111-1111-1111-1111-111111111111")]
    noti_group_id: Option<String>,
    /// The user's id.
    #[schema(value_type = Uuid, example = "22222222-2222-2222-2222-222222222222")]
    user_id: Option<String>,
}

/// Lists groups, with their members, in the order of their names.
#[utoipa::path(get, path = "/v1/noti-groups", tag = "noti-groups", operation_id = "listNotiGroups",
    params(ListParams),
    responses((status = 200, description = "A page", body = Envelope<Page<GroupView>>),
        ParamFaults, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let request = PageRequest::parse(params, List::Groups)?;
    let directory = app.api.directory.snapshot();
    let found = directory.groups_by_name(&request.prefix, request.after.as_deref());
    let page = request.fill(
        found,
        |group| view(&directory, group),
        |group| group.name.as_str(),
        |view| view.users.len(),
    );
    Ok(answer(StatusCode::OK, page))
}

/// Creates a group under a new id.
#[utoipa::path(post, path = "/v1/noti-groups", tag = "noti-groups", operation_id = "createNotiGroup",
    request_body(content = GroupBody, content_type = "application/json"),
    responses((status = 201, description = "Created", body = Envelope<GroupView>,
            headers(("Location" = String, description = "Where the group is"))),
        BodyFaults, MemberMissing, GroupConflict, WriteFaults, ServerFault))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    By(by): By,
    uri: Uri,
    Json(body): Json<GroupBody>,
) -> Result<Response, ApiError> {
    let id = GroupId(app.api.directory.new_id());
    let directory = app
        .api
        .directory
        .create_group(record(id, body)?, &by)
        .await?;
    let location = format!("{}/{id}", uri.path());
    Ok(created(location, shown(&directory, id)?))
}

/// Shows a group with its members.
#[utoipa::path(get, path = "/v1/noti-groups/{id}", tag = "noti-groups", operation_id = "getNotiGroup",
    params(("id" = Uuid, Path, description = "The group's id")),
    responses((status = 200, description = "The group", body = Envelope<GroupView>),
        GroupIdFaults, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathId(id): PathId<GroupId>,
) -> Result<Response, ApiError> {
    let view = shown(&app.api.directory.snapshot(), id)?;
    Ok(answer(StatusCode::OK, view))
}

/// Creates or replaces a group under an id that the caller chose. `users` left
/// out keeps its members; given, they replace them.
#[utoipa::path(put, path = "/v1/noti-groups/{id}", tag = "noti-groups", operation_id = "putNotiGroup",
    params(("id" = Uuid, Path, description = "The group's id")),
    request_body(content = GroupBody, content_type = "application/json"),
    responses((status = 200, description = "Replaced", body = Envelope<GroupView>),
        (status = 201, description = "Created", body = Envelope<GroupView>,
            headers(("Location" = String, description = "Where the group is"))),
        BodyFaults, MemberMissing, GroupConflict, WriteFaults, ServerFault))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<GroupId>,
    uri: Uri,
    Json(body): Json<GroupBody>,
) -> Result<Response, ApiError> {
    let (directory, effect) = app.api.directory.put_group(record(id, body)?, &by).await?;
    let view = shown(&directory, id)?;
    Ok(match effect {
        Effect::Created => created(uri.path().to_owned(), view),
        Effect::Updated | Effect::Unchanged => answer(StatusCode::OK, view),
    })
}

/// Deletes a group and its subscriptions.
#[utoipa::path(delete, path = "/v1/noti-groups/{id}", tag = "noti-groups", operation_id = "deleteNotiGroup",
    params(("id" = Uuid, Path, description = "The group's id")),
    responses((status = 204, description = "Deleted"), GroupIdFaults, WriteFaults, ServerFault))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<GroupId>,
) -> Result<StatusCode, ApiError> {
    app.api.directory.remove_group(id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a user into a group.
#[utoipa::path(post, path = "/v1/noti-groups/subscribe", tag = "noti-groups", operation_id = "subscribe",
    request_body(content = SubscriptionBody, content_type = "application/json"),
    responses((status = 204, description = "The user is in the group"),
        BodyFaults, SubscriptionMissing, SubscriptionConflict, WriteFaults, ServerFault))]
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    By(by): By,
    Json(body): Json<SubscriptionBody>,
) -> Result<StatusCode, ApiError> {
    let (group, user) = pair(body)?;
    app.api.directory.subscribe(group, user, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a user out of a group; fine where there is no such subscription, group
/// or user.
#[utoipa::path(delete, path = "/v1/noti-groups/unsubscribe", tag = "noti-groups", operation_id = "unsubscribe",
    request_body(content = SubscriptionBody, content_type = "application/json"),
    responses((status = 204, description = "The user is not in the group"),
        BodyFaults, WriteFaults, ServerFault))]
pub(crate) async fn unsubscribe(
    State(app): State<Arc<App>>,
    By(by): By,
    Json(body): Json<SubscriptionBody>,
) -> Result<StatusCode, ApiError> {
    let (group, user) = pair(body)?;
    app.api.directory.unsubscribe(group, user, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same as `DELETE`, for clients that cannot send a body with that.
#[utoipa::path(post, path = "/v1/noti-groups/unsubscribe", tag = "noti-groups", operation_id = "unsubscribeByPost",
    request_body(content = SubscriptionBody, content_type = "application/json"),
    responses((status = 204, description = "The user is not in the group"),
        BodyFaults, WriteFaults, ServerFault))]
pub(crate) async fn unsubscribe_by_post(
    app: State<Arc<App>>,
    by: By,
    body: Json<SubscriptionBody>,
) -> Result<StatusCode, ApiError> {
    unsubscribe(app, by, body).await
}

fn pair(body: SubscriptionBody) -> Result<(GroupId, UserId), ApiError> {
    let group = required("notiGroupId", body.noti_group_id)?;
    let user = required("userId", body.user_id)?;
    Ok((
        extract::id("notiGroupId", &group)?,
        extract::id("userId", &user)?,
    ))
}

fn record(id: GroupId, body: GroupBody) -> Result<GroupRecord, ApiError> {
    let member = |member: MemberBody| {
        let (MemberBody::Id(id) | MemberBody::Shown { id }) = member;
        extract::id("users", &id.0)
    };
    Ok(GroupRecord {
        id,
        name: GroupName::parse(&required("name", body.name)?)?,
        desc: Description::parse(&required("desc", body.desc)?)?,
        users: body
            .users
            .map(|users| users.into_iter().map(member).collect())
            .transpose()?,
    })
}

fn shown(directory: &Directory, id: GroupId) -> Result<GroupView, ApiError> {
    let group = directory.group(id);
    let group = group.ok_or(ApiError::Directory(DirectoryError::NoSuchGroup))?;
    Ok(view(directory, group))
}

fn view(directory: &Directory, group: &Group) -> GroupView {
    let members = directory.members(group.id);
    GroupView {
        id: group.id.0,
        name: group.name.to_string(),
        desc: group.desc.as_str().to_owned(),
        users: members
            .map(|user| Named {
                id: user.id.0,
                name: user.name.to_string(),
            })
            .collect(),
    }
}
