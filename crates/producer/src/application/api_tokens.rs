//! Giving out API tokens, and telling who has one.

use std::sync::Arc;

use common::{ApiTokenId, Clock, Secret, UtcMillis};
use uuid::Uuid;

use crate::{
    application::directory::{ChangeError, change},
    domain::{
        ApiToken, ApiTokenName, ApiTokenRecord, ApiTokenSecret, Caller, Command, Directory,
        DirectoryError, Grant, Invalid, Scope, TokenRefusal, Who,
    },
    ports::{DirectoryStore, StoreError},
};

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// Whose it is or what for.
    pub name: ApiTokenName,
    /// What it allows.
    pub grant: Grant,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<UtcMillis>,
}

/// A token that was made.
#[derive(Debug)]
pub struct CreatedApiToken {
    /// What its owner sends. It can be shown now and never again.
    pub secret: Secret,
    /// What is kept of it.
    pub token: Arc<ApiToken>,
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateTokenError {
    /// A value is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The directory did not do it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// The use case: API tokens.
pub struct ApiTokens {
    store: Arc<dyn DirectoryStore>,
    clock: Arc<dyn Clock>,
}

impl ApiTokens {
    /// The use case over these ports.
    pub fn new(store: Arc<dyn DirectoryStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The directory as of now, which has the tokens.
    pub fn snapshot(&self) -> Arc<Directory> {
        self.store.snapshot()
    }

    /// Whether whoever calls needs a token. From the first token on it is so for good:
    /// when the last is revoked or has expired, nothing opens.
    pub fn are_needed(&self) -> bool {
        self.store.snapshot().has_api_tokens()
    }

    /// The token that `text` is. Answers from memory.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn authenticate(&self, text: &str) -> Result<Arc<ApiToken>, TokenRefusal> {
        let secret = ApiTokenSecret::parse(text).ok_or(TokenRefusal::Malformed)?;
        let directory = self.store.snapshot();
        directory
            .authenticate(&secret, self.clock.now().utc)
            .cloned()
    }

    /// Whether a caller who was let in still would be: their token is taken, or none is
    /// needed yet. Answers from memory; for what goes on long after it was asked for.
    pub fn still_admit(&self, caller: &Caller) -> bool {
        match &caller.who {
            Who::Local => true,
            Who::Anybody => !self.are_needed(),
            Who::Token(token) => {
                let directory = self.store.snapshot();
                let token = directory.api_token(token.record.id);
                token.is_some_and(|token| token.check(self.clock.now().utc).is_ok())
            }
        }
    }

    /// Makes a token. A repeated call makes none, since the name is taken. The name of one
    /// that has expired is free: that one is revoked first, which changes nothing for
    /// whoever has it.
    ///
    /// The first one closes the API. Over the network it has to be one with which further
    /// ones can be made; on the data itself they always can.
    ///
    /// # Errors
    /// [`CreateTokenError`]; no token was made, unless it says that one may have been.
    pub async fn create(
        &self,
        new: NewApiToken,
        by: &Caller,
    ) -> Result<CreatedApiToken, CreateTokenError> {
        if let Some(expiry) = new.expires_at
            && expiry <= self.clock.now().utc
        {
            return Err(CreateTokenError::Invalid(Invalid {
                field: "expiresAt",
                problem: "must be a time that is yet to come.".into(),
            }));
        }
        if matches!(by.who, Who::Anybody)
            && !self.are_needed()
            && !new.grant.scopes().allow(Scope::Admin)
        {
            return Err(CreateTokenError::Invalid(Invalid {
                field: "scopes",
                problem: "of the first API token must have admin in it, since no other \
                          could be made over the network after it; or make it with \
                          `error-notifier token create --offline`."
                    .into(),
            }));
        }
        self.free_if_expired(&new.name, by).await?;
        let secret = ApiTokenSecret::generate();
        let id = ApiTokenId(Uuid::new_v4());
        let record = ApiTokenRecord {
            id,
            name: new.name,
            hash: secret.hash(),
            grant: new.grant,
            expires_at: new.expires_at,
        };
        let (directory, _) = change(&*self.store, Command::CreateApiToken(record), by).await?;
        let token = directory.api_token(id).cloned().ok_or_else(|| {
            // Somebody deleted its row by hand before it was read back.
            ChangeError::Store(StoreError::Failed("the new token is not there".into()))
        })?;
        Ok(CreatedApiToken {
            secret: secret.text(),
            token,
        })
    }

    async fn free_if_expired(&self, name: &ApiTokenName, by: &Caller) -> Result<(), ChangeError> {
        let directory = self.store.snapshot();
        let Some(token) = directory.api_token_named(name.as_str()) else {
            return Ok(());
        };
        match token.check(self.clock.now().utc) {
            Err(TokenRefusal::Expired) => self.revoke(token.record.id, by).await,
            _ => Ok(()),
        }
    }

    /// Revokes a token: when it answers `Ok`, this process takes it no longer. A repeated
    /// call finds it so.
    ///
    /// # Errors
    /// [`ChangeError`], where there is no such token or the store could not do it.
    pub async fn revoke(&self, id: ApiTokenId, by: &Caller) -> Result<(), ChangeError> {
        change(&*self.store, Command::RevokeApiToken(id), by)
            .await
            .map(drop)
    }

    /// The id of the token that a person means: by its id, or by the name of one that is
    /// not revoked.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchApiToken`].
    pub fn find(&self, id_or_name: &str) -> Result<ApiTokenId, DirectoryError> {
        let directory = self.store.snapshot();
        let by_id = id_or_name
            .parse()
            .ok()
            .and_then(|id| directory.api_token(id));
        by_id
            .or_else(|| directory.api_token_named(id_or_name))
            .map(|token| token.record.id)
            .ok_or(DirectoryError::NoSuchApiToken)
    }
}
