//! The API tokens in the directory.

use std::sync::Arc;

use common::{ApiTokenId, UtcMillis};

use super::{Directory, DirectoryError};
use crate::domain::{
    ApiToken, ApiTokenRecord, ApiTokenSecret, Change, MAX_API_TOKENS, TokenRefusal,
};

/// Reading.
impl Directory {
    /// Whether there is a token, or was one in this process's time: from then on nothing is
    /// done without.
    pub fn has_api_tokens(&self) -> bool {
        self.had_api_tokens
    }

    /// The token of that id.
    pub fn api_token(&self, id: ApiTokenId) -> Option<&Arc<ApiToken>> {
        self.api_tokens.get(&id)
    }

    /// The token of that name that is not revoked.
    pub fn api_token_named(&self, name: &str) -> Option<&Arc<ApiToken>> {
        self.api_tokens
            .values()
            .find(|token| token.revoked_at.is_none() && token.record.name.as_str() == name)
    }

    /// All tokens, in the order of their ids.
    pub fn api_tokens(&self) -> impl Iterator<Item = &Arc<ApiToken>> {
        self.api_tokens.values()
    }

    /// The token that `secret` is, where it is taken at that time.
    ///
    /// # Errors
    /// Why not.
    pub fn authenticate(
        &self,
        secret: &ApiTokenSecret,
        now: UtcMillis,
    ) -> Result<&Arc<ApiToken>, TokenRefusal> {
        let hash = secret.hash();
        let beginning = hash.beginning();
        let least = ApiTokenId(uuid::Uuid::nil());
        let most = ApiTokenId(uuid::Uuid::max());
        // Nearly always one, since no two hashes begin alike by chance.
        let token = self
            .api_tokens_by_hash
            .range((beginning, least)..=(beginning, most))
            .filter_map(|(_, id)| self.api_tokens.get(id))
            .find(|token| token.record.hash.is(&hash))
            .ok_or(TokenRefusal::Unknown)?;
        token.check(now).map(|()| token)
    }
}

/// Deciding.
impl Directory {
    pub(super) fn create_api_token(
        &self,
        record: &ApiTokenRecord,
    ) -> Result<Vec<Change>, DirectoryError> {
        if self.api_token(record.id).is_some() {
            return Err(DirectoryError::IdTaken);
        }
        let standing = self.api_tokens.values();
        let standing = standing.filter(|token| token.revoked_at.is_none());
        if standing.count() >= MAX_API_TOKENS {
            return Err(DirectoryError::TooManyApiTokens);
        }
        if self.api_token_named(record.name.as_str()).is_some() {
            return Err(DirectoryError::ApiTokenNameTaken);
        }
        let groups = record.grant.groups().map(|groups| groups.iter());
        if groups
            .into_iter()
            .flatten()
            .any(|group| self.group(*group).is_none())
        {
            return Err(DirectoryError::NoSuchGroup);
        }
        Ok(vec![Change::CreateApiToken(record.clone())])
    }

    pub(super) fn revoke_api_token(&self, id: ApiTokenId) -> Result<Vec<Change>, DirectoryError> {
        match self.api_token(id) {
            None => Err(DirectoryError::NoSuchApiToken),
            Some(token) if token.revoked_at.is_some() => Ok(vec![]),
            Some(_) => Ok(vec![Change::RevokeApiToken(id)]),
        }
    }
}

/// Applying.
impl Directory {
    /// Puts a token in the place of the one of that id, if there was one.
    pub fn insert_api_token(&mut self, token: Arc<ApiToken>) {
        self.had_api_tokens = true;
        let id = token.record.id;
        let place = (token.record.hash.beginning(), id);
        if let Some(old) = self.api_tokens.insert(id, token) {
            let old = (old.record.hash.beginning(), id);
            self.api_tokens_by_hash.remove(&old);
        }
        self.api_tokens_by_hash.insert(place);
    }

    /// Takes note of a token that cannot be read: nobody has it, and nothing opens.
    pub fn note_unreadable_api_token(&mut self) {
        self.had_api_tokens = true;
    }

    /// Takes a token out, as where its row was deleted by hand. Nothing opens by that.
    pub fn remove_api_token(&mut self, id: ApiTokenId) {
        if let Some(old) = self.api_tokens.remove(&id) {
            let old = (old.record.hash.beginning(), id);
            self.api_tokens_by_hash.remove(&old);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ApiTokenName, Command, Grant, Scope};

    fn record(n: u128, name: &str, secret: &ApiTokenSecret) -> ApiTokenRecord {
        ApiTokenRecord {
            id: ApiTokenId(Uuid::from_u128(n)),
            name: ApiTokenName::parse(name).unwrap(),
            hash: secret.hash(),
            grant: Grant::new([Scope::AlertsWrite].into_iter().collect(), None).unwrap(),
            expires_at: None,
        }
    }

    fn token(record: ApiTokenRecord) -> Arc<ApiToken> {
        Arc::new(ApiToken {
            record,
            created_at: UtcMillis(0),
            revoked_at: None,
        })
    }

    #[test]
    fn each_of_many_tokens_is_found_by_its_secret_and_no_other() {
        let mut directory = Directory::default();
        let secrets: Vec<_> = (0..100).map(|_| ApiTokenSecret::generate()).collect();
        for (n, secret) in (0..).zip(&secrets) {
            directory.insert_api_token(token(record(n, &format!("token{n}"), secret)));
        }
        for (n, secret) in (0..).zip(&secrets) {
            let found = directory.authenticate(secret, UtcMillis(0)).unwrap();
            assert_eq!(found.record.id, ApiTokenId(Uuid::from_u128(n)));
        }
        let other = ApiTokenSecret::generate();
        let refusal = directory.authenticate(&other, UtcMillis(0)).unwrap_err();
        assert_eq!(refusal, TokenRefusal::Unknown);
    }

    #[test]
    fn a_token_that_is_replaced_or_removed_is_not_found_by_what_it_was() {
        let (old, new) = (ApiTokenSecret::generate(), ApiTokenSecret::generate());
        let mut directory = Directory::default();
        directory.insert_api_token(token(record(1, "ci", &old)));
        directory.insert_api_token(token(record(1, "ci", &new)));
        assert!(directory.authenticate(&old, UtcMillis(0)).is_err());
        assert!(directory.authenticate(&new, UtcMillis(0)).is_ok());
        directory.remove_api_token(ApiTokenId(Uuid::from_u128(1)));
        assert!(directory.authenticate(&new, UtcMillis(0)).is_err());
        assert!(directory.has_api_tokens());
    }

    #[test]
    fn a_token_that_cannot_be_read_closes_as_any_other() {
        let mut directory = Directory::default();
        assert!(!directory.has_api_tokens());
        directory.note_unreadable_api_token();
        assert!(directory.has_api_tokens());
    }

    #[test]
    fn there_are_at_most_as_many_tokens_as_there_may_be() {
        let secret = ApiTokenSecret::generate();
        let mut directory = Directory::default();
        for n in 0..MAX_API_TOKENS as u128 {
            directory.insert_api_token(token(record(n, &format!("token{n}"), &secret)));
        }
        let one_more = Command::CreateApiToken(record(u128::MAX, "more", &secret));
        assert_eq!(
            directory.decide(&one_more).unwrap_err(),
            DirectoryError::TooManyApiTokens
        );
        let mut revoked = token(record(0, "token0", &secret));
        Arc::make_mut(&mut revoked).revoked_at = Some(UtcMillis(1));
        directory.insert_api_token(revoked);
        assert!(
            directory.decide(&one_more).is_ok(),
            "a revoked one makes room"
        );
    }
}
