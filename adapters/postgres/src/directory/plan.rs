//! What commands leave, worked out in memory.

use std::{collections::BTreeSet, sync::Arc};

use common::{ApiTokenId, Credential, CredentialId, GroupId, Secret, UserId, UtcMillis};
use producer::{
    domain::{
        ApiToken, AuditRecord, Caller, Change, Command, Deed, Destinations, Directory,
        DirectoryError, Effect, FurtherDestination, Group, GroupRecord, NewCredential,
        SavedDestination, User, UserDestination, UserRecord,
    },
    ports::Mode,
};

/// Stands for the credential of a secret that has yet to be written.
pub(super) const UNWRITTEN: CredentialId = CredentialId(-1);

/// What the calls that share a transaction come to.
pub(super) struct Plan {
    /// The directory that they leave; new secrets have the credential [`UNWRITTEN`].
    pub(super) after: Directory,
    /// Whom and what they touched.
    pub(super) touched: Touched,
    /// What the audit log is told of them.
    pub(super) audit: Vec<AuditRecord>,
    pub(super) now: UtcMillis,
}

/// Users, groups, memberships and API tokens.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) users: BTreeSet<UserId>,
    pub(super) groups: BTreeSet<GroupId>,
    pub(super) members: BTreeSet<(GroupId, UserId)>,
    pub(super) api_tokens: BTreeSet<ApiTokenId>,
}

/// What the commands of one call come to.
pub(super) struct Judged {
    pub(super) effects: Vec<Effect>,
    /// The directory that they would leave, where they were only tried.
    pub(super) tried: Option<Directory>,
}

impl Plan {
    /// A plan that changes nothing yet.
    pub(super) fn new(before: &Directory, now: UtcMillis) -> Self {
        Self {
            after: before.clone(),
            touched: Touched::default(),
            audit: Vec::new(),
            now,
        }
    }

    /// Takes the commands of one call in, all or none; each is judged by what those before
    /// it left. Where some are refused, their places and why.
    pub(super) fn judge(
        &mut self,
        commands: &[Command],
        mode: Mode,
        by: &Caller,
    ) -> Result<Judged, Vec<(usize, DirectoryError)>> {
        let mut attempt = Plan::new(&self.after, self.now);
        let mut effects = Vec::with_capacity(commands.len());
        let mut refusals = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            match attempt.after.decide(command) {
                Ok(decision) => {
                    for change in &decision.changes {
                        attempt.apply(change);
                    }
                    effects.push(decision.effect);
                }
                Err(refusal) => refusals.push((place, refusal)),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let tried = match mode {
            Mode::DryRun => Some(attempt.after),
            Mode::Commit => {
                if let Some(deed) = Deed::of(&self.after, commands, &effects) {
                    let by = by.clone();
                    self.audit.push(AuditRecord { by, deed });
                }
                self.after = attempt.after;
                self.touched.add(attempt.touched);
                None
            }
        };
        Ok(Judged { effects, tried })
    }

    fn apply(&mut self, change: &Change) {
        let Touched {
            users,
            groups,
            members,
            api_tokens,
        } = &mut self.touched;
        match change {
            Change::SaveUser { record, credential } => self.save_user(record, *credential),
            Change::SaveDestinations(id, saved) => self.save_destinations(*id, saved),
            Change::RemoveUser(id) => {
                users.insert(*id);
                members.extend(self.after.groups_of(*id).map(|group| (group.id, *id)));
                self.after.remove_user(*id);
            }
            Change::SaveGroup(record) => self.save_group(record),
            Change::RemoveGroup(id) => {
                groups.insert(*id);
                members.extend(self.after.member_ids(*id).map(|user| (*id, user)));
                self.after.remove_group(*id);
            }
            Change::Subscribe(group, user) => {
                members.insert((*group, *user));
                self.after.insert_member(*group, *user);
            }
            Change::Unsubscribe(group, user) => {
                members.insert((*group, *user));
                self.after.remove_member(*group, *user);
            }
            Change::CreateApiToken(record) => {
                api_tokens.insert(record.id);
                self.after.insert_api_token(Arc::new(ApiToken {
                    record: record.clone(),
                    created_at: self.now,
                    revoked_at: None,
                }));
            }
            Change::RevokeApiToken(id) => {
                if let Some(token) = self.after.api_token(*id) {
                    let revoked = ApiToken {
                        revoked_at: Some(self.now),
                        ..(**token).clone()
                    };
                    api_tokens.insert(*id);
                    self.after.insert_api_token(Arc::new(revoked));
                }
            }
        }
    }

    fn save_user(&mut self, record: &UserRecord, credential: NewCredential) {
        let known = self.after.user(record.id);
        let keep = known.map(|user| &user.destinations.first().credential);
        let secret = record.token.as_ref().map(|token| token.secret());
        // decide() lets no new user through without a token.
        let Some(credential) = chosen(credential, secret, keep) else {
            return;
        };
        let first = UserDestination {
            destination: Arc::new(record.first()),
            credential,
        };
        let further = known.map(|user| user.destinations.further().to_vec());
        let user = User {
            id: record.id,
            name: record.name.clone(),
            destinations: Destinations::new(first, further.unwrap_or_default()),
            created_at: known.map_or(self.now, |user| user.created_at),
            updated_at: self.now,
        };
        self.touched.users.insert(user.id);
        self.after.insert_user(Arc::new(user));
    }

    fn save_destinations(&mut self, id: UserId, saved: &[SavedDestination]) {
        let Some(user) = self.after.user(id) else {
            return;
        };
        let further = saved.iter().filter_map(|saved| {
            let record = &saved.record;
            let known = user.destinations.find(record.id);
            let keep = known.map(|known| &known.place.credential);
            Some(FurtherDestination {
                id: record.id,
                place: UserDestination {
                    destination: Arc::new(record.place.destination().clone()),
                    // decide() lets no new destination through without a credential.
                    credential: chosen(saved.credential, record.secret(), keep)?,
                },
            })
        });
        let first = user.destinations.first().clone();
        let user = User {
            destinations: Destinations::new(first, further.collect()),
            updated_at: self.now,
            ..(**user).clone()
        };
        self.touched.users.insert(id);
        self.after.insert_user(Arc::new(user));
    }

    fn save_group(&mut self, record: &GroupRecord) {
        let known = self.after.group(record.id);
        let group = Group {
            id: record.id,
            name: record.name.clone(),
            desc: record.desc.clone(),
            created_at: known.map_or(self.now, |group| group.created_at),
            updated_at: self.now,
        };
        self.touched.groups.insert(group.id);
        self.after.insert_group(Arc::new(group));
    }
}

impl Touched {
    fn add(&mut self, other: Touched) {
        self.users.extend(other.users);
        self.groups.extend(other.groups);
        self.members.extend(other.members);
        self.api_tokens.extend(other.api_tokens);
    }
}

/// The credential that a user or a destination comes to have.
fn chosen(
    which: NewCredential,
    secret: Option<&Secret>,
    keep: Option<&Arc<Credential>>,
) -> Option<Arc<Credential>> {
    match (which, secret) {
        (NewCredential::FromToken, Some(secret)) => Some(Arc::new(Credential {
            id: UNWRITTEN,
            secret: secret.clone(),
        })),
        _ => keep.cloned(),
    }
}
