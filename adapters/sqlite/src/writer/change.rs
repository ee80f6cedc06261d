//! Writing the directory, and publishing what was written.

use std::sync::Arc;

use common::{
    ApiTokenId, Credential, CredentialId, Destination, GroupId, Secret, UserId, UtcMillis,
};
use producer::{
    domain::{
        ApiToken, ApiTokenRecord, AuditRecord, Caller, Change, Command, Deed, Destinations,
        Directory, DirectoryError, Effect, FurtherDestination, Group, GroupRecord, NewCredential,
        SavedDestination, User, UserDestination, UserRecord,
    },
    ports::{Executed, Mode, StoreError},
};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{current, retired::retire};
use crate::{api_tokens, audit, directory::Published, secrets::Secrets};

/// What the directory is asked for, all or none.
pub(super) struct Call<'a> {
    pub(super) commands: &'a [Command],
    pub(super) mode: Mode,
    pub(super) by: &'a Caller,
}

pub(super) struct Changer {
    published: Arc<Published>,
    /// The directory as the transaction under way leaves it, where it changes it.
    working: Option<Directory>,
    secrets: Arc<Secrets>,
}

impl Changer {
    pub(super) fn new(published: Arc<Published>, secrets: Arc<Secrets>) -> Self {
        Self {
            published,
            working: None,
            secrets,
        }
    }

    pub(super) fn begin(&mut self) {
        self.working = None;
    }

    pub(super) fn committed(&mut self) {
        if let Some(directory) = self.working.take() {
            self.published.store(Arc::new(directory));
        }
    }

    /// Carries out a call within the transaction, and writes down who made it.
    pub(super) fn execute(
        &mut self,
        transaction: &Transaction<'_>,
        call: Call<'_>,
        now: UtcMillis,
    ) -> Result<Result<Executed, StoreError>, rusqlite::Error> {
        let Call { commands, mode, by } = call;
        let before = self.working.clone();
        let before = before.unwrap_or_else(|| current(&self.published));
        let mut directory = before.clone();
        let tables = Tables {
            transaction,
            now,
            secrets: &self.secrets,
        };
        transaction.execute_batch("SAVEPOINT directory")?;
        let carried_out = carry_out(&tables, &mut directory, commands)?;
        if carried_out.is_err() || mode == Mode::DryRun {
            transaction.execute_batch("ROLLBACK TO directory; RELEASE directory")?;
        } else {
            let deed = carried_out.as_ref().ok();
            if let Some(deed) = deed.and_then(|effects| Deed::of(&before, commands, effects)) {
                let by = by.clone();
                audit::append(transaction, &AuditRecord { by, deed }, now)?;
            }
            transaction.execute_batch("RELEASE directory")?;
            self.working = Some(directory.clone());
        }
        Ok(carried_out
            .map(|effects| Executed {
                directory: Arc::new(directory),
                effects,
            })
            .map_err(StoreError::Refused))
    }
}

type Refusals = Vec<(usize, DirectoryError)>;

fn carry_out(
    tables: &Tables<'_>,
    directory: &mut Directory,
    commands: &[Command],
) -> Result<Result<Vec<Effect>, Refusals>, rusqlite::Error> {
    let mut effects = Vec::with_capacity(commands.len());
    let mut refusals = Refusals::new();
    for (place, command) in commands.iter().enumerate() {
        match directory.decide(command) {
            Ok(decision) => {
                for change in &decision.changes {
                    tables.write(change, directory)?;
                }
                effects.push(decision.effect);
            }
            Err(refusal) => refusals.push((place, refusal)),
        }
    }
    Ok(if refusals.is_empty() {
        Ok(effects)
    } else {
        Err(refusals)
    })
}

struct Tables<'a> {
    transaction: &'a Transaction<'a>,
    now: UtcMillis,
    secrets: &'a Secrets,
}

impl Tables<'_> {
    /// Writes a change to the tables and to the directory in memory.
    fn write(&self, change: &Change, directory: &mut Directory) -> Result<(), rusqlite::Error> {
        match change {
            Change::SaveUser { record, credential } => {
                let user = self.save_user(record, *credential, directory)?;
                directory.insert_user(Arc::new(user));
            }
            Change::SaveDestinations(user, saved) => {
                if let Some(user) = directory.user(*user).cloned() {
                    let user = self.save_destinations(&user, saved)?;
                    directory.insert_user(Arc::new(user));
                }
            }
            Change::RemoveUser(id) => {
                self.remove_user(*id, directory)?;
                directory.remove_user(*id);
            }
            Change::SaveGroup(record) => {
                directory.insert_group(Arc::new(self.save_group(record, directory)?));
            }
            Change::RemoveGroup(id) => {
                self.execute("DELETE FROM noti_group WHERE id = ?1", [id.0.as_bytes()])?;
                directory.remove_group(*id);
            }
            Change::Subscribe(group, user) => {
                self.subscribe(*group, *user)?;
                directory.insert_member(*group, *user);
            }
            Change::Unsubscribe(group, user) => {
                self.execute(
                    "DELETE FROM noti_group_user WHERE noti_group_id = ?1 AND user_id = ?2",
                    params![group.0.as_bytes(), user.0.as_bytes()],
                )?;
                directory.remove_member(*group, *user);
            }
            Change::CreateApiToken(record) => self.create_api_token(record, directory)?,
            Change::RevokeApiToken(id) => self.revoke_api_token(*id, directory)?,
        }
        Ok(())
    }

    fn save_user(
        &self,
        record: &UserRecord,
        credential: NewCredential,
        directory: &Directory,
    ) -> Result<User, rusqlite::Error> {
        let known = directory.user(record.id);
        let destination = record.first();
        self.remember(&destination)?;
        let credential = match (credential, &record.token, known) {
            (NewCredential::FromToken, Some(token), _) => {
                Arc::new(self.credential(token.secret())?)
            }
            (_, _, Some(user)) => user.destinations.first().credential.clone(),
            // decide() lets no new user through without a token.
            (_, _, None) => return Err(rusqlite::Error::QueryReturnedNoRows),
        };
        self.execute(
            "INSERT INTO users (id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at",
            params![record.id.0.as_bytes(), record.name.as_str(), self.now.0],
        )?;
        self.execute(
            "INSERT INTO user_destination
             (user_id, position, destination_id, credential_id, created_at, updated_at)
             VALUES (?1, 0, ?2, ?3, ?4, ?4)
             ON CONFLICT (user_id, position) DO UPDATE SET
              destination_id = excluded.destination_id,
              credential_id = excluded.credential_id,
              updated_at = excluded.updated_at",
            params![
                record.id.0.as_bytes(),
                destination.id.0 as i64,
                credential.id.0,
                self.now.0
            ],
        )?;
        if let Some(old) = known.map(|user| user.destinations.first().credential.id)
            && old != credential.id
        {
            retire(self.transaction, old)?;
        }
        let first = UserDestination {
            destination: Arc::new(destination),
            credential,
        };
        let further = known.map(|user| user.destinations.further().to_vec());
        Ok(User {
            id: record.id,
            name: record.name.clone(),
            destinations: Destinations::new(first, further.unwrap_or_default()),
            created_at: known.map_or(self.now, |user| user.created_at),
            updated_at: self.now,
        })
    }

    /// Writes the destinations of `user` after the first anew.
    fn save_destinations(
        &self,
        user: &User,
        saved: &[SavedDestination],
    ) -> Result<User, rusqlite::Error> {
        let id = user.id.0.as_bytes();
        self.execute(
            "DELETE FROM user_destination WHERE user_id = ?1 AND position > 0",
            [id],
        )?;
        let mut further = Vec::with_capacity(saved.len());
        for (position, one) in (1_i64..).zip(saved) {
            let written = self.further_destination(user, one)?;
            self.execute(
                "INSERT INTO user_destination
                 (user_id, position, id, destination_id, credential_id, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                params![
                    id,
                    position,
                    written.id.0.as_bytes(),
                    written.place.destination.id.0 as i64,
                    written.place.credential.id.0,
                    self.now.0
                ],
            )?;
            further.push(written);
        }
        self.execute(
            "UPDATE users SET updated_at = ?2 WHERE id = ?1",
            params![id, self.now.0],
        )?;
        for old in user.destinations.further() {
            retire(self.transaction, old.place.credential.id)?;
        }
        Ok(User {
            destinations: Destinations::new(user.destinations.first().clone(), further),
            updated_at: self.now,
            ..user.clone()
        })
    }

    fn further_destination(
        &self,
        user: &User,
        saved: &SavedDestination,
    ) -> Result<FurtherDestination, rusqlite::Error> {
        let record = &saved.record;
        let destination = record.place.destination();
        self.remember(destination)?;
        let known = user.destinations.find(record.id);
        let credential = match (saved.credential, record.secret(), known) {
            (NewCredential::FromToken, Some(secret), _) => Arc::new(self.credential(secret)?),
            (_, _, Some(known)) => known.place.credential.clone(),
            // decide() lets no new destination through without a credential.
            (_, _, None) => return Err(rusqlite::Error::QueryReturnedNoRows),
        };
        Ok(FurtherDestination {
            id: record.id,
            place: UserDestination {
                destination: Arc::new(destination.clone()),
                credential,
            },
        })
    }

    fn remove_user(&self, id: UserId, directory: &Directory) -> Result<(), rusqlite::Error> {
        self.execute("DELETE FROM users WHERE id = ?1", [id.0.as_bytes()])?;
        for place in directory
            .user(id)
            .into_iter()
            .flat_map(|user| user.destinations.iter())
        {
            retire(self.transaction, place.credential.id)?;
        }
        Ok(())
    }

    fn save_group(
        &self,
        record: &GroupRecord,
        directory: &Directory,
    ) -> Result<Group, rusqlite::Error> {
        self.execute(
            "INSERT INTO noti_group (id, name, \"desc\", created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (id) DO UPDATE SET
              name = excluded.name, \"desc\" = excluded.\"desc\", updated_at = excluded.updated_at",
            params![
                record.id.0.as_bytes(),
                record.name.as_str(),
                record.desc.as_str(),
                self.now.0
            ],
        )?;
        Ok(Group {
            id: record.id,
            name: record.name.clone(),
            desc: record.desc.clone(),
            created_at: directory
                .group(record.id)
                .map_or(self.now, |group| group.created_at),
            updated_at: self.now,
        })
    }

    fn subscribe(&self, group: GroupId, user: UserId) -> Result<(), rusqlite::Error> {
        self.execute(
            "INSERT INTO noti_group_user (noti_group_id, user_id, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?3)",
            params![group.0.as_bytes(), user.0.as_bytes(), self.now.0],
        )
    }

    fn create_api_token(
        &self,
        record: &ApiTokenRecord,
        directory: &mut Directory,
    ) -> Result<(), rusqlite::Error> {
        let token = ApiToken {
            record: record.clone(),
            created_at: self.now,
            revoked_at: None,
        };
        api_tokens::insert(self.transaction, &token)?;
        directory.insert_api_token(Arc::new(token));
        Ok(())
    }

    fn revoke_api_token(
        &self,
        id: ApiTokenId,
        directory: &mut Directory,
    ) -> Result<(), rusqlite::Error> {
        api_tokens::revoke(self.transaction, id, self.now)?;
        if let Some(token) = directory.api_token(id) {
            let revoked = ApiToken {
                revoked_at: Some(self.now),
                ..(**token).clone()
            };
            directory.insert_api_token(Arc::new(revoked));
        }
        Ok(())
    }

    /// Writes a place down, so that deliveries may refer to it.
    fn remember(&self, destination: &Destination) -> Result<(), rusqlite::Error> {
        self.execute(
            "INSERT INTO destination (id, kind, base_url, address, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
            params![
                destination.id.0 as i64,
                destination.kind.as_str(),
                &*destination.base_url,
                &*destination.address,
                self.now.0
            ],
        )
    }

    /// The version that holds `secret`: one there is, taken back into use, or a new one.
    fn credential(&self, secret: &Secret) -> Result<Credential, rusqlite::Error> {
        let fingerprint = self.secrets.fingerprints.of_secret(secret);
        let known = self
            .transaction
            .prepare_cached(
                "UPDATE credential SET retired_at = NULL WHERE fingerprint = ?1 RETURNING id",
            )?
            .query_row([&fingerprint], |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                // Given here, since the secret is sealed for it.
                let id: i64 = self
                    .transaction
                    .prepare_cached(
                        "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence
                         WHERE name = 'credential'",
                    )?
                    .query_row([], |row| row.get(0))?;
                self.transaction
                    .prepare_cached(
                        "INSERT INTO credential (id, secret, fingerprint, created_at)
                         VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        id,
                        self.secrets.seal(id, secret),
                        fingerprint,
                        self.now.0
                    ])?;
                id
            }
        };
        Ok(Credential {
            id: CredentialId(id),
            secret: secret.clone(),
        })
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), rusqlite::Error> {
        self.transaction
            .prepare_cached(sql)?
            .execute(values)
            .map(drop)
    }
}
