//! Idempotency keys across producers.
//!
//! A row a key (`migrations/V2__idempotency_keys.sql`), in one of three states:
//!
//! | state | `done` | `publishing_since` |
//! |---|---|---|
//! | somebody publishes, or died over it | false | when they began |
//! | nobody publishes: it failed, or may have | false | NULL |
//! | the alert is durable | true | NULL |
//!
//! Nothing but single statements, so nothing is locked while an alert is published. A twin
//! that finds somebody publishing marks the row as awaited and waits for NOTIFY, which is
//! sent for awaited rows alone. What could lose that word costs a second: then it looks
//! again. Leases are counted by the database's clock, which all processes share.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{AlertId, Clock, UtcMillis};
use deadpool_postgres::{Client, Pool};
use producer::ports::{Claim, IdempotencyKey, IdempotencyKeys, KeysError};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::{
    error::{Failure, NO_ANSWER},
    listener::Health,
    time::system_time,
};

/// How long a key is remembered.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long whoever has claimed a key is waited for before another goes on: longer than
/// publishing takes where all is well. Publishing twice does no harm.
const LEASE: Duration = Duration::from_secs(5);

/// How long a twin waits in all: a lease, and a little for who went on after it.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long until a twin looks without a word.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the database may take to answer, a free connection included; and while it is
/// known to be away, so that those who ask meanwhile do not pile up.
const ANSWER: Duration = Duration::from_secs(10);
const ANSWER_WHILE_AWAY: Duration = Duration::from_secs(1);

const CLAIM: &str = "INSERT INTO idempotency_key
       (scope, key, fingerprint, alert_id, answer, created_at, publishing_since)
     VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
     ON CONFLICT (scope, key) DO NOTHING RETURNING alert_id";

/// Of many who find a forgotten key, one claims it.
const CLAIM_ANEW: &str = "UPDATE idempotency_key SET fingerprint = $3, alert_id = $4,
       answer = $5, created_at = $6, publishing_since = clock_timestamp(), done = false,
       is_awaited = false
     WHERE scope = $1 AND key = $2 AND created_at <= $7 RETURNING alert_id";

/// With a claim that fails, which writes nothing: so many twins cost little.
const LOOK: &str = "SELECT created_at <= $3, fingerprint, alert_id, answer, done, is_awaited,
       coalesce(extract(epoch FROM clock_timestamp() - publishing_since)::float8, 'infinity')
     FROM idempotency_key WHERE scope = $1 AND key = $2";

/// Of many who find the lease over, one goes on.
const GO_ON: &str = "UPDATE idempotency_key SET publishing_since = clock_timestamp()
     WHERE scope = $1 AND key = $2 AND alert_id = $3 AND NOT done
       AND (publishing_since IS NULL
         OR extract(epoch FROM clock_timestamp() - publishing_since)::float8 >= $4)
     RETURNING alert_id";

const AWAIT: &str = "UPDATE idempotency_key SET is_awaited = true
     WHERE scope = $1 AND key = $2 AND alert_id = $3 AND publishing_since IS NOT NULL
     RETURNING alert_id";

const COMPLETE: &str = "WITH ended AS (
       UPDATE idempotency_key SET done = true, publishing_since = NULL
       WHERE scope = $1 AND key = $2 AND alert_id = $3 AND NOT done RETURNING is_awaited)
     SELECT pg_notify('idempotency_key', '') FROM ended WHERE is_awaited";

const RELEASE: &str = "WITH ended AS (
       UPDATE idempotency_key SET publishing_since = NULL
       WHERE scope = $1 AND key = $2 AND alert_id = $3 AND NOT done RETURNING is_awaited)
     SELECT pg_notify('idempotency_key', '') FROM ended WHERE is_awaited";

/// Idempotency keys in PostgreSQL.
pub struct PostgresKeys {
    pool: Pool,
    clock: Arc<dyn Clock>,
    health: Health,
    /// Changes when somebody has ended publishing, and when word of that may be lost.
    ended: watch::Receiver<()>,
}

impl PostgresKeys {
    pub(crate) fn new(
        pool: Pool,
        clock: Arc<dyn Clock>,
        health: Health,
        ended: watch::Receiver<()>,
    ) -> Self {
        Self {
            pool,
            clock,
            health,
            ended,
        }
    }

    async fn client(&self) -> Result<Client, Failure> {
        self.pool.get().await.map_err(Failure::from)
    }

    /// Claims the key, or finds out who has it.
    async fn look(&self, key: &IdempotencyKey, alert: AlertId) -> Result<Found, Failure> {
        let client = self.client().await?;
        let now = self.clock.now().utc;
        let (created, forgotten) = (system_time(now), system_time(forgotten(now)));
        let fingerprint = key.fingerprint.as_slice();
        let name: [(Value<'_>, Type); 2] = [(&key.scope, Type::TEXT), (&key.key, Type::TEXT)];
        let new: [(Value<'_>, Type); 4] = [
            (&fingerprint, Type::BYTEA),
            (&alert.0, Type::UUID),
            (&key.answer, Type::TEXT),
            (&created, Type::TIMESTAMPTZ),
        ];
        let before: [(Value<'_>, Type); 1] = [(&forgotten, Type::TIMESTAMPTZ)];
        let claimed = client
            .query_typed(CLAIM, &[&name[..], &new].concat())
            .await?;
        if !claimed.is_empty() {
            return Ok(Found::Claim(Claim::Claimed));
        }
        let values = [&name[..], &before].concat();
        let Some(row) = client.query_typed_opt(LOOK, &values).await? else {
            // It was removed in between.
            return Ok(Found::Changing);
        };
        if row.try_get(0)? {
            let values = [&name[..], &new, &before].concat();
            let claimed = client.query_typed(CLAIM_ANEW, &values).await?;
            return Ok(match claimed.is_empty() {
                true => Found::Changing,
                false => Found::Claim(Claim::Claimed),
            });
        }
        if row.try_get::<_, &[u8]>(1)? != key.fingerprint {
            return Ok(Found::Claim(Claim::Conflict));
        }
        let earlier: Uuid = row.try_get(2)?;
        let answer: String = row.try_get(3)?;
        if row.try_get(4)? {
            return Ok(Found::Claim(Claim::Done { answer }));
        }
        let is_awaited: bool = row.try_get(5)?;
        let publishing_for: f64 = row.try_get(6)?;
        let left = LEASE.as_secs_f64() - publishing_for;
        let earlier_one: [(Value<'_>, Type); 1] = [(&earlier, Type::UUID)];
        if left > 0.0 {
            let values = [&name[..], &earlier_one].concat();
            let is_so = is_awaited || !client.query_typed(AWAIT, &values).await?.is_empty();
            return Ok(match is_so {
                true => Found::Publishing(Duration::from_secs_f64(left)),
                false => Found::Changing,
            });
        }
        let lease: [(Value<'_>, Type); 1] = [(&LEASE.as_secs_f64(), Type::FLOAT8)];
        let values = [&name[..], &earlier_one, &lease].concat();
        let goes_on = client.query_typed(GO_ON, &values).await?;
        Ok(match goes_on.is_empty() {
            true => Found::Changing,
            false => Found::Claim(Claim::Pending {
                alert: AlertId(earlier),
                answer,
            }),
        })
    }

    async fn bounded<T>(
        &self,
        doing: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, KeysError> {
        let limit = match self.health.get() {
            Ok(()) => ANSWER,
            Err(_) => ANSWER_WHILE_AWAY,
        };
        match timeout(limit, doing).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Away(reason))) => Err(KeysError::Away(reason)),
            Ok(Err(Failure::Failed(reason))) => Err(KeysError::Failed(reason)),
            Err(_) => Err(KeysError::Away(NO_ANSWER.into())),
        }
    }

    /// Notes the end of publishing.
    async fn end(
        &self,
        statement: &str,
        key: &IdempotencyKey,
        alert: AlertId,
    ) -> Result<(), KeysError> {
        let noting = async {
            let place: [(Value<'_>, Type); 3] = [
                (&key.scope, Type::TEXT),
                (&key.key, Type::TEXT),
                (&alert.0, Type::UUID),
            ];
            let noted = self.client().await?.query_typed(statement, &place).await;
            noted.map(drop).map_err(Failure::from)
        };
        self.bounded(noting).await
    }
}

type Value<'a> = &'a (dyn ToSql + Sync);

/// What a look at a key shows.
enum Found {
    Claim(Claim),
    /// Somebody publishes, and has that long before another goes on.
    Publishing(Duration),
    /// Somebody was faster; look again.
    Changing,
}

/// Keys of that time and earlier are forgotten.
pub(crate) fn forgotten(now: UtcMillis) -> UtcMillis {
    UtcMillis(now.0 - LIFETIME.as_millis() as i64)
}

#[async_trait]
impl IdempotencyKeys for PostgresKeys {
    async fn claim(&self, key: &IdempotencyKey, alert: AlertId) -> Result<Claim, KeysError> {
        let until = Instant::now() + PATIENCE;
        let mut ended = self.ended.clone();
        loop {
            // What ends from here on is noticed, before the look or after.
            ended.mark_unchanged();
            let wait = match self.bounded(self.look(key, alert)).await? {
                Found::Claim(claim) => return Ok(claim),
                Found::Publishing(left) => left.min(LOOK_AGAIN),
                Found::Changing => Duration::ZERO,
            };
            if Instant::now() >= until {
                return Err(KeysError::Busy);
            }
            // Word, or the time, or that nobody listens any more: each is to look again.
            let _ = timeout(wait, ended.changed()).await;
        }
    }

    async fn complete(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError> {
        self.end(COMPLETE, key, alert).await
    }

    async fn release(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError> {
        self.end(RELEASE, key, alert).await
    }
}
