//! What controlling needs: choosing what is cancelled and replayed, and noting it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{AlertId, Credential, CredentialId, DeliveryId, UtcMillis, wire::Place};
use deadpool_postgres::{Client, Transaction};
use producer::ports::{
    ControlError, ControlStore, DeliveryPlace, Ended, OpenAlert, OpenDelivery, ReplayClaim,
    Selection,
};
use tokio::time::timeout;

use super::{
    ANSWER, PostgresHistory, answered,
    dead_letters::{inside, outside, selected},
    destinations,
    lock::Lock,
    opened::{Opened, open},
    record::{Row, load},
    snapshot,
    sql::places_of,
    state::State,
};
use crate::{
    error::Failure,
    secrets::{self, Secrets},
};

/// How long a claim keeps others off. Far longer than from a claim to the record that the
/// delivery is on its way.
const CLAIM: Duration = Duration::from_secs(60);

#[async_trait]
impl ControlStore for PostgresHistory {
    async fn open(&self, alert: AlertId) -> Result<Option<OpenAlert>, ControlError> {
        let Some(sequence) = self.find_alert(alert).await? else {
            return Ok(None);
        };
        let now = self.clock.now().utc;
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            open_of(&snapshot, sequence, now).await
        });
        let found = found.await;
        Ok(answered(client, found)?)
    }

    async fn place_of(&self, id: DeliveryId) -> Result<Option<DeliveryPlace>, ControlError> {
        Ok(self.find_delivery(id).await?.map(outside))
    }

    async fn selected(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<(Vec<DeliveryPlace>, Option<DeliveryPlace>), ControlError> {
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            selected(&snapshot, &selection, before, limit).await
        });
        let found = found.await;
        let (places, next) = answered(client, found)?;
        Ok((places.into_iter().map(outside).collect(), next))
    }

    async fn claim(&self, places: Vec<DeliveryPlace>) -> Result<Vec<ReplayClaim>, ControlError> {
        let now = self.clock.now().utc;
        let places: Vec<Place> = places.into_iter().map(inside).collect();
        let mut client = self.client().await?;
        let claiming = timeout(ANSWER, async {
            let transaction = locked(&mut client).await?;
            let claimed = claim(&transaction, &places, now).await?;
            transaction.commit().await?;
            // What is claimed is read after, so that nobody waits for it.
            let ended = ended(&snapshot(&mut client).await?, &claimed, &self.secrets).await?;
            Ok((claimed, ended))
        });
        // A claim that was made all the same runs out by itself.
        let claiming = claiming.await;
        let (claimed, mut ended) = answered(client, claiming)?;
        let answers = places
            .iter()
            .zip(claimed)
            .map(|(place, claimed)| match claimed {
                Claimed::Yes(..) => match ended.remove(place) {
                    Some(ended) => ReplayClaim::Claimed(Box::new(ended)),
                    None => ReplayClaim::NoSuch,
                },
                Claimed::OnItsWay => ReplayClaim::OnItsWay,
                Claimed::NoSuch => ReplayClaim::NoSuch,
            });
        Ok(answers.collect())
    }

    async fn release(&self, places: Vec<DeliveryPlace>) -> Result<(), ControlError> {
        let places: Vec<Place> = places.into_iter().map(inside).collect();
        let mut client = self.client().await?;
        let releasing = timeout(ANSWER, async {
            let transaction = locked(&mut client).await?;
            set_claimed(&transaction, &places, None).await?;
            Ok(transaction.commit().await?)
        });
        let releasing = releasing.await;
        Ok(answered(client, releasing)?)
    }

    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError> {
        let Some(place) = self.find_delivery(id).await? else {
            return Ok(false);
        };
        let now = self.clock.now().utc;
        let mut client = self.client().await?;
        let mut is_committing = false;
        let discarding = timeout(ANSWER, async {
            let transaction = locked(&mut client).await?;
            let is_discarded = discard(&transaction, place, now).await?;
            is_committing = true;
            transaction.commit().await?;
            Ok(is_discarded)
        });
        let discarding = discarding.await;
        answered(client, discarding).map_err(|failure| match is_committing {
            true => ControlError::MaybeDone(failure.to_string()),
            false => failure.into(),
        })
    }
}

/// A transaction in which nobody else writes meanwhile.
async fn locked(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let transaction = client.transaction().await?;
    Lock::take(&transaction).await?;
    Ok(transaction)
}

impl From<Failure> for ControlError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(reason) => ControlError::Unwritable(reason),
            Failure::Failed(reason) => ControlError::Failed(reason),
        }
    }
}

/// What of an alert has not ended, or is about to be replayed.
async fn open_of(
    transaction: &Transaction<'_>,
    sequence: u64,
    now: UtcMillis,
) -> Result<Option<OpenAlert>, Failure> {
    let Some(opened) = open(transaction, sequence).await? else {
        return Ok(None);
    };
    let places: Vec<Place> = (0..opened.deliveries.len())
        .map(|ordinal| Place {
            sequence,
            ordinal: ordinal as u32,
        })
        .collect();
    let rows: HashMap<_, _> = load(transaction, &places).await?.into_iter().collect();
    let deliveries = places
        .iter()
        .zip(&opened.deliveries)
        .filter_map(|(place, packed)| {
            let row = rows.get(place);
            let is_open = row.is_none_or(|row| !row.state.has_ended() || is_claimed(row, now));
            is_open.then(|| OpenDelivery {
                ordinal: place.ordinal,
                destination: packed.destination,
                is_in_digest: row.is_some_and(|row| row.digest.is_some() && !row.state.has_ended()),
            })
        });
    Ok(Some(OpenAlert {
        sequence,
        severity: opened.head.alert.severity,
        gtid: opened.head.alert.gtid.clone(),
        deliveries: deliveries.collect(),
    }))
}

fn is_claimed(row: &Row, now: UtcMillis) -> bool {
    // A clock that was set back, or another process's that is ahead, keeps nobody off
    // for longer.
    row.claimed_at
        .is_some_and(|at| at.0.abs_diff(now.0) < CLAIM.as_millis() as u64)
}

/// What became of a claim within the transaction that makes it.
enum Claimed {
    Yes(Place, Box<Row>),
    OnItsWay,
    NoSuch,
}

async fn claim(
    transaction: &Transaction<'_>,
    places: &[Place],
    now: UtcMillis,
) -> Result<Vec<Claimed>, Failure> {
    let mut rows: HashMap<_, _> = load(transaction, places).await?.into_iter().collect();
    let unknown: Vec<i64> = places
        .iter()
        .filter(|place| !rows.contains_key(place))
        .map(|place| place.sequence as i64)
        .collect();
    let statement = transaction
        .prepare_cached("SELECT sequence FROM alert WHERE sequence = ANY ($1)")
        .await?;
    let recorded = transaction.query(&statement, &[&unknown]).await?;
    let recorded: Result<Vec<i64>, _> = recorded.iter().map(|row| row.try_get(0)).collect();
    let recorded = recorded?;
    let mut claims = Vec::with_capacity(places.len());
    let mut taken = Vec::new();
    for place in places {
        claims.push(match rows.remove(place) {
            Some(row) if row.state.has_ended() && !is_claimed(&row, now) => {
                taken.push(*place);
                Claimed::Yes(*place, Box::new(row))
            }
            Some(_) => Claimed::OnItsWay,
            None if recorded.contains(&(place.sequence as i64)) => Claimed::OnItsWay,
            None => Claimed::NoSuch,
        });
    }
    set_claimed(transaction, &taken, Some(now)).await?;
    Ok(claims)
}

async fn set_claimed(
    transaction: &Transaction<'_>,
    places: &[Place],
    claimed_at: Option<UtcMillis>,
) -> Result<(), Failure> {
    if places.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "UPDATE delivery SET claimed_at = $3
             FROM unnest($1::bigint[], $2::integer[]) AS wanted (sequence, ordinal)
             WHERE delivery.sequence = wanted.sequence AND delivery.ordinal = wanted.ordinal",
        )
        .await?;
    let (sequences, ordinals) = places_of(places);
    let claimed_at = claimed_at.map(|at| at.0);
    transaction
        .execute(&statement, &[&sequences, &ordinals, &claimed_at])
        .await?;
    Ok(())
}

async fn discard(
    transaction: &Transaction<'_>,
    place: Place,
    now: UtcMillis,
) -> Result<bool, Failure> {
    let statement = transaction
        .prepare_cached(
            "UPDATE delivery SET state = $3, withdrawn_at = $4
             WHERE sequence = $1 AND ordinal = $2 AND state = $5",
        )
        .await?;
    let changed = transaction
        .execute(
            &statement,
            &[
                &(place.sequence as i64),
                &(place.ordinal as i32),
                &State::Discarded.code(),
                &now.0,
                &State::Dead.code(),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// All that is needed to send what was claimed once more.
async fn ended(
    transaction: &Transaction<'_>,
    claims: &[Claimed],
    secrets: &Secrets,
) -> Result<HashMap<Place, Ended>, Failure> {
    let mut ended = HashMap::new();
    let mut opened: Option<Opened> = None;
    for claim in claims {
        let Claimed::Yes(place, row) = claim else {
            continue;
        };
        if opened
            .as_ref()
            .is_none_or(|one| one.head.sequence != place.sequence)
        {
            opened = open(transaction, place.sequence).await?;
        }
        let Some(opened) = &opened else { continue };
        if let Some(one) = ended_one(transaction, opened, *place, row, secrets).await? {
            ended.insert(*place, one);
        }
    }
    Ok(ended)
}

async fn ended_one(
    transaction: &Transaction<'_>,
    opened: &Opened,
    place: Place,
    row: &Row,
    secrets: &Secrets,
) -> Result<Option<Ended>, Failure> {
    let Some(packed) = opened.deliveries.get(place.ordinal as usize) else {
        return Ok(None);
    };
    let found = destinations::by_id(transaction, [packed.destination].into()).await?;
    let alert = &opened.head.alert;
    Ok(Some(Ended {
        place: outside(place),
        id: DeliveryId::of(alert.id, packed.destination, packed.credential),
        alert: alert.clone(),
        destination: destinations::one(&found, packed.destination)?,
        recipients: packed.recipients.clone(),
        credential: credential(transaction, packed.credential, place, secrets).await?,
        attempts: row.attempts,
        is_delivered: row.state == State::Delivered,
    }))
}

/// The credential of acceptance: the directory's, or the one that the delivery brought.
async fn credential(
    transaction: &Transaction<'_>,
    id: CredentialId,
    place: Place,
    secrets: &Secrets,
) -> Result<Option<Arc<Credential>>, Failure> {
    let row = match id {
        CredentialId(0) => {
            let statement = transaction
                .prepare_cached(
                    "SELECT secret, sealed FROM adopted_credential
                     WHERE sequence = $1 AND ordinal = $2",
                )
                .await?;
            let (sequence, ordinal) = (place.sequence as i64, place.ordinal as i32);
            transaction
                .query_opt(&statement, &[&sequence, &ordinal])
                .await?
        }
        CredentialId(id) => {
            let statement = transaction
                .prepare_cached("SELECT secret, sealed FROM credential WHERE id = $1")
                .await?;
            transaction.query_opt(&statement, &[&id]).await?
        }
    };
    let Some(row) = row else {
        return Ok(None);
    };
    let row_of = match id {
        CredentialId(0) => secrets::adopted(place.sequence as i64, place.ordinal as i32),
        CredentialId(id) => secrets::credential(id),
    };
    Ok(Some(Arc::new(Credential {
        id,
        secret: secrets.of_row(&row, 0, &row_of)?,
    })))
}
