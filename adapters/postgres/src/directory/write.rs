//! Writing what a plan changes: one statement for all of a kind, however many there are.
//!
//! What goes, goes first, so that names are free; secrets and places come before the
//! users who have them, users and groups before their memberships.

use std::{collections::BTreeMap, time::SystemTime};

use common::{Destination, Secret, UtcMillis};
use producer::domain::{Directory, Group, User, UserDestination};
use tokio_postgres::{
    Error, Transaction,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    api_tokens,
    credentials::{self, Fingerprint},
    plan::{Plan, UNWRITTEN},
};
use crate::{
    secrets::{NotRead, Secrets},
    time::system_time,
};

/// Writes the difference between `before`, which the database holds, and the plan's end.
/// Says how many rows that were.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    before: &Directory,
    plan: &Plan,
    secrets: &Secrets,
) -> Result<u64, NotRead> {
    let mut rows = remove_members(transaction, before, plan).await?;
    rows += remove_users_and_groups(transaction, before, plan).await?;
    let users = || {
        plan.touched
            .users
            .iter()
            .filter_map(|id| plan.after.user(*id))
    };
    let users: Vec<&User> = users().map(|user| &**user).collect();
    rows += save_users(transaction, &users).await?;
    rows += save_places(transaction, before, &users, secrets, plan.now).await?;
    let groups = plan
        .touched
        .groups
        .iter()
        .filter_map(|id| plan.after.group(*id));
    rows += save_groups(
        transaction,
        &groups.map(|group| &**group).collect::<Vec<_>>(),
    )
    .await?;
    rows += save_members(transaction, before, plan).await?;
    rows += api_tokens::save(transaction, plan).await?;
    Ok(rows)
}

async fn remove_members(
    transaction: &Transaction<'_>,
    before: &Directory,
    plan: &Plan,
) -> Result<u64, Error> {
    let gone = plan
        .touched
        .members
        .iter()
        .filter(|(group, user)| {
            before.is_member(*group, *user) && !plan.after.is_member(*group, *user)
        })
        .map(|(group, user)| (group.0, user.0));
    let (groups, users): (Vec<Uuid>, Vec<Uuid>) = gone.unzip();
    run(
        transaction,
        groups.len(),
        "DELETE FROM noti_group_user m
         USING unnest($1::uuid[], $2::uuid[]) AS gone (noti_group_id, user_id)
         WHERE m.noti_group_id = gone.noti_group_id AND m.user_id = gone.user_id",
        &[(&groups, Type::UUID_ARRAY), (&users, Type::UUID_ARRAY)],
    )
    .await
}

async fn remove_users_and_groups(
    transaction: &Transaction<'_>,
    before: &Directory,
    plan: &Plan,
) -> Result<u64, Error> {
    let users = plan
        .touched
        .users
        .iter()
        .filter(|id| before.user(**id).is_some() && plan.after.user(**id).is_none());
    let users: Vec<Uuid> = users.map(|id| id.0).collect();
    let groups = plan
        .touched
        .groups
        .iter()
        .filter(|id| before.group(**id).is_some() && plan.after.group(**id).is_none());
    let groups: Vec<Uuid> = groups.map(|id| id.0).collect();
    let delete = "DELETE FROM users WHERE id = ANY ($1)";
    let rows = run(
        transaction,
        users.len(),
        delete,
        &[(&users, Type::UUID_ARRAY)],
    )
    .await?;
    let delete = "DELETE FROM noti_group WHERE id = ANY ($1)";
    Ok(rows
        + run(
            transaction,
            groups.len(),
            delete,
            &[(&groups, Type::UUID_ARRAY)],
        )
        .await?)
}

async fn save_users(transaction: &Transaction<'_>, users: &[&User]) -> Result<u64, Error> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id.0).collect();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    let created = times(users, |user| user.created_at);
    let updated = times(users, |user| user.updated_at);
    run(
        transaction,
        users.len(),
        "INSERT INTO users (id, name, created_at, updated_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
         ON CONFLICT (id) DO UPDATE SET name = excluded.name,
           created_at = excluded.created_at, updated_at = excluded.updated_at",
        &[
            (&ids, Type::UUID_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&created, Type::TIMESTAMPTZ_ARRAY),
            (&updated, Type::TIMESTAMPTZ_ARRAY),
        ],
    )
    .await
}

/// The places of these users, each user's all.
async fn save_places(
    transaction: &Transaction<'_>,
    before: &Directory,
    users: &[&User],
    secrets: &Secrets,
    now: UtcMillis,
) -> Result<u64, NotRead> {
    let now = system_time(now);
    let places = Places::of(users, secrets);
    save_destinations(transaction, &places.destinations, now).await?;
    credentials::save(transaction, secrets, &places.secrets, now).await?;
    let rows = remove_places(transaction, before, users).await?;
    let saved = run(
        transaction,
        places.users.len(),
        "INSERT INTO user_destination
           (user_id, position, id, destination_id, credential_id, created_at, updated_at)
         SELECT place.user_id, place.position, place.id, place.destination_id,
           coalesce(place.credential_id, c.id), $7, $7
         FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[])
           AS place (user_id, position, id, destination_id, credential_id, fingerprint)
         LEFT JOIN credential c ON c.fingerprint = place.fingerprint
         ON CONFLICT (user_id, position) DO UPDATE SET id = excluded.id,
           destination_id = excluded.destination_id, credential_id = excluded.credential_id,
           updated_at = excluded.updated_at
         WHERE (user_destination.id, user_destination.destination_id, user_destination.credential_id)
           IS DISTINCT FROM (excluded.id, excluded.destination_id, excluded.credential_id)",
        &[
            (&places.users, Type::UUID_ARRAY),
            (&places.positions, Type::INT2_ARRAY),
            (&places.names, Type::UUID_ARRAY),
            (&places.destination_ids, Type::INT8_ARRAY),
            (&places.credentials, Type::INT8_ARRAY),
            (&places.fingerprints, Type::BYTEA_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )
    .await?;
    Ok(rows + saved)
}

/// Users' places, a column each; a place has either a credential or the fingerprint of a
/// secret.
#[derive(Default)]
struct Places<'a> {
    users: Vec<Uuid>,
    positions: Vec<i16>,
    names: Vec<Option<Uuid>>,
    destination_ids: Vec<i64>,
    credentials: Vec<Option<i64>>,
    fingerprints: Vec<Option<Fingerprint>>,
    /// The new ones, each once.
    secrets: BTreeMap<Fingerprint, &'a Secret>,
    destinations: Vec<&'a Destination>,
}

impl<'a> Places<'a> {
    fn of(users: &[&'a User], secrets: &Secrets) -> Self {
        let mut places = Self::default();
        for user in users {
            places.push(user.id.0, 0, None, user.destinations.first(), secrets);
            for (position, one) in (1..).zip(user.destinations.further()) {
                places.push(user.id.0, position, Some(one.id.0), &one.place, secrets);
            }
        }
        places
    }

    fn push(
        &mut self,
        user: Uuid,
        position: i16,
        name: Option<Uuid>,
        place: &'a UserDestination,
        secrets: &Secrets,
    ) {
        let credential = &place.credential;
        let is_new = credential.id == UNWRITTEN;
        self.users.push(user);
        self.positions.push(position);
        self.names.push(name);
        self.destination_ids.push(place.destination.id.0 as i64);
        self.credentials.push((!is_new).then_some(credential.id.0));
        let fingerprint = is_new.then(|| {
            let secret = &credential.secret;
            let fingerprint = secrets.fingerprints.of_secret(secret).to_vec();
            self.secrets.insert(fingerprint.clone(), secret);
            fingerprint
        });
        self.fingerprints.push(fingerprint);
        self.destinations.push(&place.destination);
    }
}

async fn save_destinations(
    transaction: &Transaction<'_>,
    destinations: &[&Destination],
    now: SystemTime,
) -> Result<u64, Error> {
    let each = |one: &Destination| one.id.0 as i64;
    let ids: Vec<i64> = destinations.iter().map(|one| each(one)).collect();
    let kinds: Vec<&str> = destinations.iter().map(|one| one.kind.as_str()).collect();
    let urls: Vec<&str> = destinations.iter().map(|one| &*one.base_url).collect();
    let addresses: Vec<&str> = destinations.iter().map(|one| &*one.address).collect();
    run(
        transaction,
        ids.len(),
        "INSERT INTO destination (id, kind, base_url, address, created_at)
         SELECT *, $5 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
         ON CONFLICT (id) DO NOTHING",
        &[
            (&ids, Type::INT8_ARRAY),
            (&kinds, Type::TEXT_ARRAY),
            (&urls, Type::TEXT_ARRAY),
            (&addresses, Type::TEXT_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )
    .await
}

/// The places beyond as many as a user still has.
async fn remove_places(
    transaction: &Transaction<'_>,
    before: &Directory,
    users: &[&User],
) -> Result<u64, Error> {
    let count = |user: &User| user.destinations.iter().count() as i16;
    let fewer = users.iter().filter(|user| {
        let had = before.user(user.id).map_or(0, |before| count(before));
        had > count(user)
    });
    let (ids, counts): (Vec<Uuid>, Vec<i16>) = fewer.map(|user| (user.id.0, count(user))).unzip();
    run(
        transaction,
        ids.len(),
        "DELETE FROM user_destination p USING unnest($1::uuid[], $2::smallint[]) AS kept (user_id, count)
         WHERE p.user_id = kept.user_id AND p.position >= kept.count",
        &[(&ids, Type::UUID_ARRAY), (&counts, Type::INT2_ARRAY)],
    )
    .await
}

async fn save_groups(transaction: &Transaction<'_>, groups: &[&Group]) -> Result<u64, Error> {
    let ids: Vec<Uuid> = groups.iter().map(|group| group.id.0).collect();
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let descs: Vec<&str> = groups.iter().map(|group| group.desc.as_str()).collect();
    let created = times(groups, |group| group.created_at);
    let updated = times(groups, |group| group.updated_at);
    run(
        transaction,
        groups.len(),
        "INSERT INTO noti_group (id, name, \"desc\", created_at, updated_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, \"desc\" = excluded.\"desc\",
           created_at = excluded.created_at, updated_at = excluded.updated_at",
        &[
            (&ids, Type::UUID_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&descs, Type::TEXT_ARRAY),
            (&created, Type::TIMESTAMPTZ_ARRAY),
            (&updated, Type::TIMESTAMPTZ_ARRAY),
        ],
    )
    .await
}

async fn save_members(
    transaction: &Transaction<'_>,
    before: &Directory,
    plan: &Plan,
) -> Result<u64, Error> {
    let new = plan
        .touched
        .members
        .iter()
        .filter(|(group, user)| {
            plan.after.is_member(*group, *user) && !before.is_member(*group, *user)
        })
        .map(|(group, user)| (group.0, user.0));
    let (groups, users): (Vec<Uuid>, Vec<Uuid>) = new.unzip();
    let now = system_time(plan.now);
    run(
        transaction,
        groups.len(),
        "INSERT INTO noti_group_user (noti_group_id, user_id, created_at, updated_at)
         SELECT *, $3, $3 FROM unnest($1::uuid[], $2::uuid[])
         ON CONFLICT DO NOTHING",
        &[
            (&groups, Type::UUID_ARRAY),
            (&users, Type::UUID_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )
    .await
}

fn times<T>(of: &[&T], time: impl Fn(&T) -> UtcMillis) -> Vec<SystemTime> {
    of.iter().map(|one| system_time(time(one))).collect()
}

/// Runs a statement over `count` rows, unless there are none.
async fn run(
    transaction: &Transaction<'_>,
    count: usize,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<u64, Error> {
    if count == 0 {
        return Ok(0);
    }
    transaction.execute_typed(statement, values).await
}
