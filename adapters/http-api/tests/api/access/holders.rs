//! Tokens, and requests that are made with them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{body::Body, http::Request};
use common::{ApiTokenId, GroupId, UtcMillis};
use http_api::ClientAddress;
use producer::{
    domain::{ApiTokenName, ApiTokenRecord, ApiTokenSecret, Caller, Command, Grant, Scope},
    ports::{DirectoryStore, Mode},
};
use uuid::Uuid;

use crate::{history::site::Site, support::request};

/// A token as its holder has it.
pub(crate) struct Holder {
    pub(crate) id: ApiTokenId,
    pub(crate) token: String,
}

/// How a token is made.
#[derive(Default)]
pub(crate) struct How<'a> {
    /// Its id, if left out.
    pub(crate) name: Option<&'a str>,
    pub(crate) scopes: &'a [Scope],
    pub(crate) groups: Option<Vec<GroupId>>,
    pub(crate) expires_at: Option<UtcMillis>,
}

/// Makes a token in the store itself.
pub(crate) async fn holder(site: &Site, how: How<'_>) -> Holder {
    let secret = ApiTokenSecret::generate();
    let id = ApiTokenId(Uuid::new_v4());
    let record = ApiTokenRecord {
        id,
        name: ApiTokenName::parse(how.name.unwrap_or(&id.to_string())).unwrap(),
        hash: secret.hash(),
        grant: Grant::new(how.scopes.iter().copied().collect(), how.groups).unwrap(),
        expires_at: how.expires_at,
    };
    let commands = vec![Command::CreateApiToken(record)];
    let directory = &site.store.directory;
    directory
        .execute(commands, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
    Holder {
        id,
        token: secret.text().expose().to_owned(),
    }
}

/// Makes a token with these scopes.
pub(crate) async fn with_scopes(site: &Site, scopes: &[Scope]) -> Holder {
    let how = How {
        scopes,
        ..How::default()
    };
    holder(site, how).await
}

/// Makes a token that was revoked since.
pub(crate) async fn revoked(site: &Site) -> Holder {
    let holder = with_scopes(site, &Scope::ALL).await;
    revoke(site, holder.id).await;
    holder
}

/// Revokes a token in the store itself.
pub(crate) async fn revoke(site: &Site, id: ApiTokenId) {
    let commands = vec![Command::RevokeApiToken(id)];
    let directory = &site.store.directory;
    directory
        .execute(commands, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
}

/// A request with that token, from an address that no other request comes from.
pub(crate) fn with_token(method: &str, path: &str, token: Option<&str>) -> Request<Body> {
    let mut request = request(method, path).extension(elsewhere());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::empty()).unwrap()
}

/// The same with a JSON body.
pub(crate) fn json_with_token(
    method: &str,
    path: &str,
    token: &str,
    body: &serde_json::Value,
) -> Request<Body> {
    request(method, path)
        .extension(elsewhere())
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// An import with that token.
pub(crate) fn lines_with_token(path: &str, token: &str, lines: String) -> Request<Body> {
    request("POST", path)
        .extension(elsewhere())
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-ndjson")
        .body(Body::from(lines))
        .unwrap()
}

fn elsewhere() -> ClientAddress {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let address = NEXT.fetch_add(1, Ordering::Relaxed);
    ClientAddress(IpAddr::V4(Ipv4Addr::from(address)))
}
