//! Writing accepted alerts.

use std::collections::{HashMap, HashSet};

use common::{
    AlertId, CredentialId, DestinationId, Recipient, Recipients, Severity, UtcMillis, count_users,
    packed::pack_deliveries,
    wire::{Hidden, RecipientDelivery, Served},
};
use deadpool_postgres::Transaction;
use producer::ports::{AlertEntry, SAME_ALERT_WITHIN};
use tokio_postgres::{binary_copy::BinaryCopyInWriter, types::Type};
use uuid::Uuid;

use crate::{
    error::Failure,
    history::{
        feed::{Entry, What},
        sql::{text, whole},
    },
    secrets::{self, NotRead, Secrets},
};

/// An alert as it will be stored. Packed before anybody has to wait for it.
pub(in crate::history) struct Prepared {
    pub(super) sequence: u64,
    pub(super) id: AlertId,
    pub(super) severity: Severity,
    pub(super) accepted_at: UtcMillis,
    pub(super) delivery_count: i32,
    user_count: i32,
    verbatim: bool,
    caller: Option<Uuid>,
    gtid: String,
    message: String,
    targets: Vec<String>,
    recipients: Vec<u8>,
    /// The tokens that are in no directory, by ordinal.
    adopted: Vec<(i32, Hidden)>,
    /// Where its deliveries go, each once.
    pub(in crate::history) destinations: Vec<NewDestination>,
}

/// A place that deliveries go to.
pub(in crate::history) struct NewDestination {
    pub(in crate::history) id: DestinationId,
    pub(in crate::history) kind: String,
    pub(in crate::history) base_url: String,
    pub(in crate::history) address: String,
}

impl Prepared {
    /// What is told of it.
    pub(super) fn event(&self) -> Entry {
        Entry {
            at: self.accepted_at,
            what: What::Accepted(self.sequence),
        }
    }
}

/// Packs alerts.
pub(super) fn prepared(alerts: Vec<AlertEntry>) -> Vec<Prepared> {
    alerts.into_iter().map(prepare).collect()
}

fn prepare(entry: AlertEntry) -> Prepared {
    let AlertEntry {
        sequence,
        record,
        body,
    } = entry;
    let mut destinations = HashMap::new();
    let mut packed: Vec<(DestinationId, CredentialId, Recipients)> =
        Vec::with_capacity(body.deliveries.len());
    let mut adopted = Vec::new();
    for (ordinal, delivery) in body.deliveries.into_iter().enumerate() {
        let id = delivery.destination_id();
        let RecipientDelivery {
            kind,
            base_url,
            address,
            credential_id,
            token,
            users,
            for_warnings: _,
        } = delivery;
        if credential_id == CredentialId(0) {
            adopted.push((whole(ordinal), token));
        }
        packed.push((id, credential_id, recipients(&users)));
        destinations.entry(id).or_insert_with(|| NewDestination {
            id,
            kind: text(&kind),
            base_url: text(&base_url),
            address: text(&address),
        });
    }
    let users = count_users(packed.iter().map(|(_, _, recipients)| recipients));
    let columns = packed
        .iter()
        .map(|(destination, credential, recipients)| (*destination, *credential, &recipients[..]));
    Prepared {
        sequence,
        id: record.alert_id,
        severity: record.severity,
        accepted_at: record.accepted_at,
        delivery_count: whole(packed.len()),
        user_count: whole(users),
        verbatim: body.verbatim,
        caller: record.caller.map(|token| token.0),
        gtid: text(&record.gtid),
        message: text(&body.message),
        targets: body.targets.iter().map(|target| text(target)).collect(),
        recipients: pack_deliveries(columns),
        adopted,
        destinations: destinations.into_values().collect(),
    }
}

fn recipients(users: &[Served]) -> Recipients {
    let recipient = |Served(user, target): &Served| Recipient {
        user: *user,
        target: *target,
    };
    users.iter().map(recipient).collect()
}

/// Leaves out those whose id was there within so many sequence numbers before, and notes
/// them: the next of that id counts from them.
pub(super) async fn without_repetitions(
    transaction: &Transaction<'_>,
    alerts: Vec<Prepared>,
) -> Result<Vec<Prepared>, Failure> {
    if alerts.is_empty() {
        return Ok(alerts);
    }
    let mut seen = seen_before(transaction, &alerts).await?;
    let mut repetitions = Vec::new();
    let mut fresh = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let before = seen.insert(alert.id.0, alert.sequence);
        match before {
            Some(before) if alert.sequence - before <= SAME_ALERT_WITHIN => {
                repetitions.push((alert.sequence, alert.id.0));
            }
            _ => fresh.push(alert),
        }
    }
    if !repetitions.is_empty() {
        let (sequences, ids): (Vec<_>, Vec<_>) = repetitions
            .into_iter()
            .map(|(sequence, id)| (sequence as i64, id))
            .unzip();
        let statement = transaction
            .prepare_cached(
                "INSERT INTO alert_repetition (sequence, id)
                 SELECT * FROM unnest($1::bigint[], $2::uuid[])",
            )
            .await?;
        transaction.execute(&statement, &[&sequences, &ids]).await?;
    }
    Ok(fresh)
}

/// Where the ids of these alerts were last.
async fn seen_before(
    transaction: &Transaction<'_>,
    alerts: &[Prepared],
) -> Result<HashMap<Uuid, u64>, Failure> {
    let statement = transaction
        .prepare_cached(
            "SELECT id, max(sequence) FROM (
               SELECT id, sequence FROM alert WHERE id = ANY ($1)
               UNION ALL SELECT id, sequence FROM alert_repetition WHERE id = ANY ($1)
             ) AS known GROUP BY id",
        )
        .await?;
    let ids: Vec<Uuid> = alerts.iter().map(|alert| alert.id.0).collect();
    let rows = transaction.query(&statement, &[&ids]).await?;
    let mut seen = HashMap::with_capacity(alerts.len());
    for row in &rows {
        let sequence: i64 = row.try_get(1)?;
        seen.insert(row.try_get(0)?, sequence as u64);
    }
    Ok(seen)
}

const COLUMNS: &str = "sequence, accepted_at, id, user_count, delivery_count, severity, verbatim,
     gtid, message, targets, recipients, caller";

const TYPES: [Type; 12] = [
    Type::INT8,
    Type::INT8,
    Type::UUID,
    Type::INT4,
    Type::INT4,
    Type::INT2,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::BYTEA,
    Type::UUID,
];

/// Adds alerts.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    alerts: &[Prepared],
    secrets: &Secrets,
) -> Result<(), Failure> {
    if alerts.is_empty() {
        return Ok(());
    }
    let copy = format!("COPY alert ({COLUMNS}) FROM STDIN BINARY");
    let sink = transaction.copy_in(&copy).await?;
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for alert in alerts {
        writer
            .as_mut()
            .write(&[
                &(alert.sequence as i64),
                &alert.accepted_at.0,
                &alert.id.0,
                &alert.user_count,
                &alert.delivery_count,
                &i16::from(alert.severity.code()),
                &alert.verbatim,
                &alert.gtid,
                &alert.message,
                &alert.targets,
                &alert.recipients,
                &alert.caller,
            ])
            .await?;
    }
    writer.finish().await?;
    keep_adopted(transaction, alerts, secrets).await
}

async fn keep_adopted(
    transaction: &Transaction<'_>,
    alerts: &[Prepared],
    secrets: &Secrets,
) -> Result<(), Failure> {
    let adopted = || {
        alerts.iter().flat_map(|alert| {
            let tokens = alert.adopted.iter();
            tokens.map(|(ordinal, token)| (alert.sequence as i64, *ordinal, token))
        })
    };
    let sequences: Vec<i64> = adopted().map(|(sequence, _, _)| sequence).collect();
    if sequences.is_empty() {
        return Ok(());
    }
    let ordinals: Vec<i32> = adopted().map(|(_, ordinal, _)| ordinal).collect();
    let sealing = secrets.sealing(transaction).await?;
    let sealed = adopted().map(|(sequence, ordinal, token)| {
        let place = secrets::adopted(sequence, ordinal);
        sealing.seal(&place, token.expose().as_bytes())
    });
    let sealed: Vec<Vec<u8>> = sealed.collect::<Result<_, _>>().map_err(NotRead::from)?;
    let statement = transaction
        .prepare_cached(
            "INSERT INTO adopted_credential (sequence, ordinal, sealed)
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bytea[])",
        )
        .await?;
    transaction
        .execute(&statement, &[&sequences, &ordinals, &sealed])
        .await?;
    Ok(())
}

/// The places of alerts that are not among `known`, each once.
pub(in crate::history) fn new_destinations<'a>(
    alerts: &'a [Prepared],
    known: &HashSet<DestinationId>,
) -> Vec<&'a NewDestination> {
    let all = alerts.iter().flat_map(|alert| &alert.destinations);
    let mut new: HashMap<DestinationId, &NewDestination> = HashMap::new();
    for destination in all.filter(|one| !known.contains(&one.id)) {
        new.entry(destination.id).or_insert(destination);
    }
    new.into_values().collect()
}
