//! The whole directory out and in, as JSON Lines.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use producer::{
    application::transfer::{self, Imported, Secrets},
    domain::Directory,
    ports::Mode,
};
use serde::Serialize;
use tokio::runtime::Handle;
use utoipa::ToSchema;

use crate::{
    access::By,
    envelope::{Envelope, answer},
    errors::ApiError,
    extract::{BodyKind, DryRun, Params, read, text},
    openapi::{ImportFaults, ServerFault},
    router::App,
};

const NDJSON: &str = "application/x-ndjson";
/// 100,000 users and 10,000 groups fit.
const IMPORT_LIMIT: usize = 64 << 20;
/// How many times longer than a JSON body an import may take to arrive.
const IMPORT_PATIENCE: u32 = 10;
/// About how much of an export is made at once.
const CHUNK: usize = 64 << 10;
/// How many chunks wait for a slow reader.
const CHUNKS_AHEAD: usize = 2;

/// What an import did, or would do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ImportedView {
    users_created: usize,
    users_updated: usize,
    users_unchanged: usize,
    groups_created: usize,
    groups_updated: usize,
    groups_unchanged: usize,
}

/// Exports all users and groups, without tokens: there is no way to get those
/// out over HTTP.
#[utoipa::path(get, path = "/v1/directory", tag = "directory", operation_id = "exportDirectory",
    responses((status = 200, description = "JSON Lines: users by name, then groups by name",
            content_type = "application/x-ndjson", body = String,
            example = json!("{\"type\":\"user\",\"id\":\"11111111-1111-1111-1111-111111111111\",\"name\":\"user_name1\",\"channelId\":\"test_channel_id1\"}\n")),
        ServerFault))]
pub(crate) async fn export(State(app): State<Arc<App>>) -> Response {
    let (sender, body) = Channel::<Bytes>::new(CHUNKS_AHEAD);
    tokio::spawn(send_lines(app.api.directory.snapshot(), sender));
    let mut response = Response::new(Body::new(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response
}

/// Sends the export at the pace of its reader; ends when the reader is gone.
async fn send_lines(directory: Arc<Directory>, mut sender: Sender<Bytes>) {
    let mut lines = transfer::export(&directory, Secrets::LeftOut).peekable();
    while lines.peek().is_some() {
        let mut chunk = String::with_capacity(CHUNK + 1024);
        while chunk.len() < CHUNK
            && let Some(line) = lines.next()
        {
            chunk.push_str(&line);
        }
        if sender.send_data(chunk.into()).await.is_err() {
            return;
        }
    }
}

/// Brings the directory to what the lines say, all or nothing. Users and groups
/// that they do not name stay as they are; a user's line without `token` keeps
/// the user's token. With `dryRun=true` nothing is changed.
#[utoipa::path(post, path = "/v1/directory", tag = "directory", operation_id = "importDirectory",
    params(("dryRun" = Option<bool>, Query, description = "Only answer what would be done")),
    request_body(content = String, content_type = "application/x-ndjson",
        description = "JSON Lines, at most 64 MiB; application/json-lines is the same",
        example = json!("{\"type\":\"user\",\"id\":\"11111111-1111-1111-1111-111111111111\",\"name\":\"user_name1\",\"token\":\"test_token1\",\"channelId\":\"test_channel_id1\"}\n{\"type\":\"group\",\"id\":\"11111111-1111-1111-1111-111111111111\",\"name\":\"group_name1\",\"desc\":\"test_desc1\",\"users\":[\"11111111-1111-1111-1111-111111111111\"]}\n")),
    responses((status = 200, description = "Imported; with `dryRun=true`, what would be",
            body = Envelope<ImportedView>),
        ImportFaults, ServerFault))]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    By(by): By,
    Params(dry_run): Params<DryRun>,
    request: Request,
) -> Result<Response, ApiError> {
    let mode = match dry_run.is_asked()? {
        true => Mode::DryRun,
        false => Mode::Commit,
    };
    let permit = app.imports.clone().try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::ImportUnderWay)?;
    let body = read(request, body_kind(app.api.body_timeout)).await?;
    let directory = app.api.directory.clone();
    // Reading 64 MiB of lines would hold up the alerts that this thread serves.
    // The permit goes along, for the work does even if the caller hangs up.
    let work = tokio::task::spawn_blocking(move || {
        let imported = text(&body).and_then(|lines| {
            let importing = directory.import(lines, mode, &by);
            Handle::current()
                .block_on(importing)
                .map_err(ApiError::from)
        });
        drop(permit);
        imported
    });
    match work.await {
        Ok(imported) => imported.map(|imported| answer(StatusCode::OK, view(&imported))),
        Err(_) => Err(ApiError::Internal {
            inside: "the import panicked".into(),
        }),
    }
}

fn body_kind(body_timeout: Duration) -> BodyKind {
    BodyKind {
        types: &[NDJSON, "application/json-lines"],
        limit: IMPORT_LIMIT,
        timeout: body_timeout * IMPORT_PATIENCE,
    }
}

fn view(imported: &Imported) -> ImportedView {
    ImportedView {
        users_created: imported.users_created,
        users_updated: imported.users_updated,
        users_unchanged: imported.users_unchanged,
        groups_created: imported.groups_created,
        groups_updated: imported.groups_updated,
        groups_unchanged: imported.groups_unchanged,
    }
}
