//! API tokens: made, listed, revoked.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use common::{ApiTokenId, GroupId};
use producer::{
    application::{CreatedApiToken, NewApiToken},
    domain::{ApiToken, ApiTokenName, Directory, DirectoryError, Grant, Scope, Scopes},
};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{Array, Object, Type},
};
use uuid::Uuid;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{self, Json, Params, PathId, required},
    history::query,
    openapi::{
        ApiTokenConflict, ApiTokenIdFaults, BodyFaults, GroupMissing, ParamFaults, ServerFault,
        WriteFaults,
    },
    paging::{List, ListParams, Page, PageRequest},
    router::App,
    users::rfc3339,
};

/// A token to be made. Further fields are passed over.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiTokenBody {
    /// Whose it is or what for: 1 to 60 characters, unique among tokens that are not revoked.
    #[schema(value_type = String, min_length = 1, max_length = 60, pattern = "^[^\\s\\x00-\\x1f\\x7f-\\x9f](?:[^\\x00-\\x1f\\x7f-\\x9f]{0,58}[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", example = "ci")]
    name: Option<String>,
    /// What it allows: `alerts:write`, `alerts:read`, `directory:read`, `directory:write`,
    /// `admin`.
    #[schema(schema_with = scopes, required = true)]
    scopes: Option<Vec<String>>,
    /// The groups that its alerts may be for, 1 to 100, by id. Left out, they may be for
    /// anybody. Only together with `alerts:write` alone.
    #[schema(value_type = Option<Vec<Uuid>>, min_items = 1, max_items = 100, example = json!(["11111111-1111-1111-1111-111111111111"]))]
    noti_group_ids: Option<Vec<String>>,
    /// From when on it is refused, RFC 3339. Left out, never.
    #[schema(value_type = Option<String>, format = DateTime, example = "2099-12-31T23:59:59Z")]
    expires_at: Option<String>,
}

/// A token as the API shows it; the token itself is shown once, when it is made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiTokenView {
    #[schema(example = "33333333-3333-3333-3333-333333333333")]
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
    #[schema(example = json!(["alerts:write"]))]
    scopes: Vec<&'static str>,
    /// The groups that its alerts may be for; left out where they may be for anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    noti_groups: Option<Vec<AllowedGroup>>,
    /// RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    created_at: String,
    /// From when on it is refused, RFC 3339; left out where never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// A group that a token is restricted to.
#[derive(Serialize, ToSchema)]
struct AllowedGroup {
    #[schema(example = "11111111-1111-1111-1111-111111111111")]
    id: Uuid,
    /// Its name; left out where it no longer exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "group_name1")]
    name: Option<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedView {
    #[serde(flatten)]
    shown: ApiTokenView,
    /// The token itself, for the header `Authorization: Bearer en_…`. It is shown now and
    /// never again.
    #[schema(example = "en_…")]
    token: String,
}

/// Lists API tokens in the order of their names, revoked and expired ones too.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", operation_id = "listTokens",
    params(ListParams),
    responses((status = 200, description = "A page", body = Envelope<Page<ApiTokenView>>),
        ParamFaults, ServerFault))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let request = PageRequest::parse(params, List::Tokens)?;
    let directory = app.api.tokens.snapshot();
    let mut found: Vec<_> = directory
        .api_tokens()
        .filter(|token| token.record.name.as_str().starts_with(&request.prefix))
        .map(|token| (place(token), token))
        .filter(|(place, _)| request.after.as_ref().is_none_or(|after| place > after))
        .collect();
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let page = request.fill(
        found.into_iter(),
        |(_, token)| view(&directory, token),
        |(place, _)| place,
        |view| view.noti_groups.as_ref().map_or(0, Vec::len),
    );
    Ok(answer(StatusCode::OK, page))
}

/// Where a token stands in the list: by name, and several of one name by id.
fn place(token: &ApiToken) -> String {
    format!("{}\0{}", token.record.name.as_str(), token.record.id)
}

/// Makes an API token. From the first one on, every call needs one, but for health and
/// the document. The token is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", operation_id = "createToken",
    request_body(content = ApiTokenBody, content_type = "application/json"),
    responses((status = 201, description = "Created", body = Envelope<CreatedView>,
            headers(("Location" = String, description = "Where it is listed"))),
        BodyFaults, GroupMissing, ApiTokenConflict, WriteFaults, ServerFault))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    By(by): By,
    uri: Uri,
    Json(body): Json<ApiTokenBody>,
) -> Result<Response, ApiError> {
    let tokens = &app.api.tokens;
    let CreatedApiToken { secret, token } = tokens.create(new(body)?, &by).await?;
    let location = format!("{}/{}", uri.path(), token.record.id);
    let shown = CreatedView {
        shown: view(&tokens.snapshot(), &token),
        token: secret.expose().to_owned(),
    };
    let headers = [
        (header::LOCATION, location),
        // Nobody in between is to keep it.
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, answer(StatusCode::CREATED, shown)).into_response())
}

/// Shows an API token, without the token itself.
#[utoipa::path(get, path = "/v1/tokens/{id}", tag = "tokens", operation_id = "getToken",
    params(("id" = Uuid, Path, description = "The token's id")),
    responses((status = 200, description = "The token", body = Envelope<ApiTokenView>),
        ApiTokenIdFaults, ServerFault))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    PathId(id): PathId<ApiTokenId>,
) -> Result<Response, ApiError> {
    let directory = app.api.tokens.snapshot();
    let token = directory.api_token(id);
    let token = token.ok_or(ApiError::Directory(DirectoryError::NoSuchApiToken))?;
    Ok(answer(StatusCode::OK, view(&directory, token)))
}

/// Revokes an API token: this process takes it no longer from this answer on, others a
/// moment later. Fine where it is revoked already.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = Uuid, Path, description = "The token's id")),
    responses((status = 204, description = "Revoked"), ApiTokenIdFaults, WriteFaults, ServerFault))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    By(by): By,
    PathId(id): PathId<ApiTokenId>,
) -> Result<StatusCode, ApiError> {
    app.api.tokens.revoke(id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The scopes of a body, as the document shows them.
fn scopes() -> Array {
    let words = Scope::ALL.map(Scope::as_str);
    let word = Object::builder()
        .schema_type(Type::String)
        .enum_values(Some(words));
    Array::builder()
        .items(word)
        .min_items(Some(1))
        .description(Some("What it allows."))
        .examples([serde_json::json!(["alerts:write"])])
        .build()
}

fn new(body: ApiTokenBody) -> Result<NewApiToken, ApiError> {
    let name = ApiTokenName::parse(&required("name", body.name)?)?;
    let scopes = required("scopes", body.scopes)?;
    let scopes: Scopes = scopes
        .iter()
        .map(|scope| scope.parse())
        .collect::<Result<_, _>>()?;
    let groups = body.noti_group_ids.map(|ids| {
        let ids = ids.iter();
        ids.map(|id| extract::id::<GroupId>("notiGroupIds", id))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(NewApiToken {
        name,
        grant: Grant::new(scopes, groups.transpose()?)?,
        expires_at: query::time("expiresAt", body.expires_at.as_deref())?,
    })
}

fn view(directory: &Directory, token: &ApiToken) -> ApiTokenView {
    let record = &token.record;
    let group = |id: &GroupId| AllowedGroup {
        id: id.0,
        name: directory.group(*id).map(|group| group.name.to_string()),
    };
    ApiTokenView {
        id: record.id.0,
        name: record.name.as_str().to_owned(),
        scopes: record
            .grant
            .scopes()
            .iter()
            .map(|one| one.as_str())
            .collect(),
        noti_groups: record
            .grant
            .groups()
            .map(|groups| groups.iter().map(group).collect()),
        created_at: rfc3339(token.created_at),
        expires_at: record.expires_at.map(rfc3339),
        revoked_at: token.revoked_at.map(rfc3339),
    }
}
