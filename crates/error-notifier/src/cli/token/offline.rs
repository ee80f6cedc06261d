//! Tokens in the data folder or the database itself, without a server: the first one is
//! made so, before any server listens.

use std::sync::Arc;
use std::time::Duration;

use common::{Clock, GroupId, SystemClock, UtcMillis};
use producer::application::{ApiTokens, CreateTokenError, NewApiToken};
use producer::domain::{ApiToken, ApiTokenName, Caller, Directory, Grant, Scope};
use producer::ports::DirectoryStore;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::offline::{Offline, Opened};

/// What a token is to be, as it was typed.
pub(super) struct Wanted {
    pub(super) name: ApiTokenName,
    pub(super) scopes: Vec<Scope>,
    pub(super) groups: Vec<String>,
    pub(super) expires_in: Option<Duration>,
}

/// Makes a token; what the API would show of it.
pub(super) async fn create(place: &Offline, wanted: Wanted) -> Result<Value, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let opened = Opened::open(place, clock.clone()).await?;
    let made = create_in(opened.directory(), &clock, wanted).await;
    opened.close();
    made
}

async fn create_in(
    directory: Arc<dyn DirectoryStore>,
    clock: &Arc<dyn Clock>,
    wanted: Wanted,
) -> Result<Value, Failure> {
    let groups = group_ids(&directory.snapshot(), &wanted.groups)?;
    let grant = Grant::new(wanted.scopes.into_iter().collect(), groups);
    let new = NewApiToken {
        name: wanted.name,
        grant: grant.map_err(|error| Failure::BadInput(error.to_string()))?,
        expires_at: wanted.expires_in.map(|span| clock.now().utc.plus(span)),
    };
    let tokens = ApiTokens::new(directory, clock.clone());
    let made = tokens.create(new, &Caller::LOCAL).await.map_err(not_made)?;
    let directory = tokens.snapshot();
    if !has_admin(&directory, clock.now().utc) {
        eprintln!(
            "No API token has admin: over the network nobody can make another now. `error-notifier token create NAME --scope admin --offline` makes one that has."
        );
    }
    let mut shown = shown(&directory, &made.token);
    shown["token"] = json!(made.secret.expose());
    Ok(shown)
}

/// Whether there is a token with which others can be made.
fn has_admin(directory: &Directory, now: UtcMillis) -> bool {
    let mut taken = directory
        .api_tokens()
        .filter(|token| token.check(now).is_ok());
    taken.any(|token| token.record.grant.scopes().allow(Scope::Admin))
}

fn not_made(error: CreateTokenError) -> Failure {
    Failure::BadInput(error.to_string())
}

/// All tokens, as the API would show them.
pub(super) async fn list(place: &Offline) -> Result<Vec<Value>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let opened = Opened::open(place, clock).await?;
    let directory = opened.directory().snapshot();
    let mut tokens: Vec<_> = directory.api_tokens().collect();
    tokens.sort_by_key(|token| (token.record.name.clone(), token.record.id));
    let shown = tokens.iter().map(|token| shown(&directory, token));
    let shown = shown.collect();
    opened.close();
    Ok(shown)
}

/// Revokes a token; gives its id.
pub(super) async fn revoke(place: &Offline, name: &str) -> Result<String, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let opened = Opened::open(place, clock.clone()).await?;
    let tokens = ApiTokens::new(opened.directory(), clock);
    let revoked = match tokens.find(name) {
        Ok(id) => tokens
            .revoke(id, &Caller::LOCAL)
            .await
            .map(|()| id.to_string())
            .map_err(|error| Failure::BadInput(error.to_string())),
        Err(error) => Err(Failure::BadInput(error.to_string())),
    };
    opened.close();
    revoked
}

fn group_ids(directory: &Directory, named: &[String]) -> Result<Option<Vec<GroupId>>, Failure> {
    if named.is_empty() {
        return Ok(None);
    }
    let ids = named.iter().map(|name| {
        let bare = name.strip_prefix("@@").unwrap_or(name);
        let bare = producer::domain::text::normalise(bare);
        let by_id = bare.parse().ok().and_then(|id| directory.group(id));
        let group = by_id.or_else(|| directory.group_named(&bare));
        let missing = || Failure::BadInput(format!("there is no group named '{name}'"));
        group.map(|group| group.id).ok_or_else(missing)
    });
    ids.collect::<Result<_, _>>().map(Some)
}

fn shown(directory: &Directory, token: &ApiToken) -> Value {
    let time = |at: common::UtcMillis| {
        jiff::Timestamp::from_millisecond(at.0)
            .unwrap_or_default()
            .to_string()
    };
    let record = &token.record;
    let scopes: Vec<_> = record.grant.scopes().iter().map(Scope::as_str).collect();
    let mut shown = json!({
        "id": record.id,
        "name": record.name.as_str(),
        "scopes": scopes,
        "createdAt": time(token.created_at),
    });
    if let Some(groups) = record.grant.groups() {
        let groups = groups.iter().map(|id| match directory.group(*id) {
            Some(group) => json!({ "id": id, "name": group.name.as_str() }),
            None => json!({ "id": id }),
        });
        shown["notiGroups"] = groups.collect();
    }
    for (field, at) in [
        ("expiresAt", record.expires_at),
        ("revokedAt", token.revoked_at),
    ] {
        if let Some(at) = at {
            shown[field] = json!(time(at));
        }
    }
    shown
}
