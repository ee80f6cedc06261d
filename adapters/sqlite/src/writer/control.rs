//! What a person does about alerts: cancel, replay, discard. Each in steps of a
//! bounded number of rows, so that none holds others up.

use std::{collections::HashSet, sync::Arc};

use common::UtcMillis;
use consumer::domain::{LeaseKey, Position, Settlement};
use producer::{
    domain::Directory,
    ports::{ControlError, ReplayError},
};
use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::oneshot;

use super::settle::{CANCELLED, DEAD, DELIVERED, DIGESTED, DISCARDED, PARKED, WAITING, close};
use crate::{
    directory::Published,
    error::WriteFailure,
    feed::{Entry, Feed, QUEUED_AGAIN},
    reader,
    sending::Sending,
};

/// Deliveries looked at in one step.
pub(crate) const STEP: usize = 1_000;
/// Replayed deliveries on their way at once: each is held in memory.
const MOST_REPLAYED: usize = 20_000;

/// What is to be done in one transaction.
pub(crate) enum Task {
    /// Cancel what of an alert has not ended, from that ordinal on.
    Cancel {
        sequence: u64,
        from: u32,
        reply: oneshot::Sender<Result<CancelStep, ControlError>>,
    },
    /// Replay these, at most [`STEP`] of them.
    Replay {
        deliveries: Vec<Position>,
        reply: oneshot::Sender<Result<Vec<Verdict>, ReplayError>>,
    },
    /// Take this one off the dead letters.
    Discard {
        delivery: Position,
        reply: oneshot::Sender<Result<bool, ControlError>>,
    },
}

/// What was written for a task.
pub(crate) enum Done {
    Cancelled {
        sequence: u64,
        keys: Vec<LeaseKey>,
        step: CancelStep,
    },
    Replayed(Vec<(Position, Verdict)>),
    TooMany,
    Refused(String),
    Discarded(bool),
}

/// How far cancelling an alert has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CancelStep {
    pub(crate) cancelled: usize,
    pub(crate) sending: usize,
    /// Where to go on; everything below has ended.
    pub(crate) next: Option<u32>,
}

/// What was decided about a delivery that was to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Replayed,
    OnItsWay,
    CredentialGone,
    NoSuch,
}

/// Carries tasks out.
pub(super) struct Controller {
    sending: Arc<Sending>,
    directory: Arc<Published>,
    /// Replayed by this process and not ended.
    replaying: HashSet<Position>,
}

impl Controller {
    pub(super) fn new(sending: Arc<Sending>, directory: Arc<Published>) -> Self {
        Self {
            sending,
            directory,
            replaying: HashSet::new(),
        }
    }

    /// The directory that requests read now.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// Carries out `task`. `refusal` says that nothing but outcomes can be written;
    /// `trimmed` is the alert that is being removed.
    pub(super) fn perform(
        &self,
        transaction: &Transaction<'_>,
        task: &Task,
        now: UtcMillis,
        refusal: Option<&String>,
        trimmed: Option<i64>,
        feed: &mut Feed,
    ) -> Result<Done, rusqlite::Error> {
        match task {
            Task::Cancel { sequence, from, .. } => {
                self.cancel(transaction, *sequence, *from, now, feed)
            }
            Task::Replay { deliveries, .. } => {
                if let Some(reason) = refusal {
                    return Ok(Done::Refused(reason.clone()));
                }
                if self.replaying.len() + deliveries.len() > MOST_REPLAYED {
                    return Ok(Done::TooMany);
                }
                let mut verdicts = Vec::with_capacity(deliveries.len());
                for place in deliveries {
                    let verdict = if trimmed == Some(place.sequence as i64) {
                        Verdict::NoSuch
                    } else {
                        self.replay(transaction, *place, now)?
                    };
                    if verdict == Verdict::Replayed {
                        feed.add(Entry {
                            place: *place,
                            state: QUEUED_AGAIN,
                        });
                    }
                    verdicts.push((*place, verdict));
                }
                Ok(Done::Replayed(verdicts))
            }
            Task::Discard { delivery, .. } => discard(transaction, *delivery, now),
        }
    }

    /// A replay was committed.
    pub(super) fn replayed(&mut self, delivery: Position) {
        self.replaying.insert(delivery);
    }

    /// Outcomes were committed.
    pub(super) fn settled(&mut self, settlements: &[Settlement]) {
        if self.replaying.is_empty() {
            return;
        }
        for settlement in settlements.iter().filter(|one| one.outcome.is_final()) {
            self.replaying.remove(&settlement.lease.position);
        }
    }

    /// A step of cancelling was committed.
    pub(super) fn cancelled(&mut self, keys: &[LeaseKey]) {
        for key in keys {
            self.replaying.remove(&key.position);
        }
    }

    fn cancel(
        &self,
        transaction: &Transaction<'_>,
        sequence: u64,
        from: u32,
        now: UtcMillis,
        feed: &mut Feed,
    ) -> Result<Done, rusqlite::Error> {
        let mut step = CancelStep::default();
        let mut keys = Vec::new();
        let Some(alert) = reader::open_alert(transaction, sequence)? else {
            return Ok(Done::Cancelled {
                sequence,
                keys,
                step,
            });
        };
        let severity = alert.alert.severity;
        let is_open = transaction
            .prepare_cached("SELECT 1 FROM open_alert WHERE severity = ?1 AND sequence = ?2")?
            .exists(params![severity.code(), sequence as i64])?;
        if is_open {
            let end = alert.deliveries.len().min(from as usize + STEP);
            for ordinal in from as usize..end {
                let position = Position {
                    sequence,
                    ordinal: ordinal as u32,
                };
                let destination = alert.deliveries[ordinal].destination;
                let changed = transaction
                    .prepare_cached(
                        "INSERT INTO delivery (sequence, ordinal, destination_id, severity, state,
                           attempts, parts_sent, withdrawn_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6)
                         ON CONFLICT (sequence, ordinal) DO UPDATE SET state = excluded.state,
                           wait_until = NULL, wait_fault = NULL, wait_asked = NULL,
                           withdrawn_at = excluded.withdrawn_at
                         WHERE state IN (1, 2) AND digest IS NULL",
                    )?
                    .execute(params![
                        sequence as i64,
                        ordinal as i64,
                        destination.0 as i64,
                        severity.code(),
                        CANCELLED,
                        now.0
                    ])?;
                if changed == 0 {
                    continue;
                }
                match self.sending.contains(position) {
                    true => step.sending += 1,
                    false => step.cancelled += 1,
                }
                keys.push(LeaseKey {
                    position,
                    destination,
                    severity,
                });
                feed.add(Entry {
                    place: position,
                    state: CANCELLED,
                });
            }
            step.next = (end < alert.deliveries.len()).then_some(end as u32);
            if !keys.is_empty() {
                close(transaction, severity, sequence, keys.len() as i64)?;
            }
        }
        Ok(Done::Cancelled {
            sequence,
            keys,
            step,
        })
    }

    fn replay(
        &self,
        transaction: &Transaction<'_>,
        place: Position,
        now: UtcMillis,
    ) -> Result<Verdict, rusqlite::Error> {
        let key = params![place.sequence as i64, place.ordinal];
        let found = transaction
            .prepare_cached(
                "SELECT state, severity FROM delivery WHERE sequence = ?1 AND ordinal = ?2",
            )?
            .query_row(key, |row| Ok((row.get::<_, u8>(0)?, row.get::<_, u8>(1)?)))
            .optional()?;
        let Some(alert) = reader::open_alert(transaction, place.sequence)? else {
            return Ok(Verdict::NoSuch);
        };
        let Some(packed) = alert.deliveries.get(place.ordinal as usize) else {
            return Ok(Verdict::NoSuch);
        };
        let Some((state, severity)) = found else {
            return Ok(Verdict::OnItsWay);
        };
        if matches!(state, WAITING | PARKED | DIGESTED) || self.sending.contains(place) {
            return Ok(Verdict::OnItsWay);
        }
        let has_credential = transaction
            .prepare_cached("SELECT 1 FROM credential WHERE id = ?1")?
            .exists([packed.credential.0])?;
        let directory = self.directory.load();
        let mut users = packed.recipients.iter();
        if !has_credential && !users.any(|one| directory.user(one.user).is_some()) {
            return Ok(Verdict::CredentialGone);
        }
        // The last attempt stands in the delivery's row, which gets others now.
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO attempt
                 (sequence, ordinal, number, started_at, took_us, result, status, error, provider_id)
                 SELECT sequence, ordinal, attempts, started_at, took_us, result, status, error,
                        provider_id
                 FROM delivery WHERE sequence = ?1 AND ordinal = ?2 AND result IS NOT NULL",
            )?
            .execute(key)?;
        let was_sent = state == DELIVERED;
        transaction
            .prepare_cached(
                "UPDATE delivery SET state = ?3, wait_until = NULL, wait_fault = NULL,
                   wait_asked = NULL, reason = NULL, withdrawn_at = NULL, replayed_at = ?4, digest = NULL,
                   repeated = iif(?5, 1, repeated), parts_sent = iif(?6, parts_sent, 0)
                 WHERE sequence = ?1 AND ordinal = ?2",
            )?
            .execute(params![
                place.sequence as i64,
                place.ordinal,
                WAITING,
                now.0,
                was_sent,
                matches!(state, DEAD | DISCARDED),
            ])?;
        transaction
            .prepare_cached(
                "INSERT INTO open_alert (severity, sequence, open) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET open = open + 1",
            )?
            .execute(params![severity, place.sequence as i64])?;
        Ok(Verdict::Replayed)
    }
}

fn discard(
    transaction: &Transaction<'_>,
    delivery: Position,
    now: UtcMillis,
) -> Result<Done, rusqlite::Error> {
    let changed = transaction
        .prepare_cached(
            "UPDATE delivery SET state = ?3, withdrawn_at = ?4
             WHERE sequence = ?1 AND ordinal = ?2 AND state = ?5",
        )?
        .execute(params![
            delivery.sequence as i64,
            delivery.ordinal,
            DISCARDED,
            now.0,
            DEAD
        ])?;
    Ok(Done::Discarded(changed == 1))
}

/// Answers a task that was committed, or judged.
pub(super) fn answer(task: Task, done: Done) {
    // A reply that nobody awaits any longer is no matter: what it tells is done.
    match (task, done) {
        (Task::Cancel { reply, .. }, Done::Cancelled { step, .. }) => {
            let _ = reply.send(Ok(step));
        }
        (Task::Replay { reply, .. }, Done::Replayed(verdicts)) => {
            let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict);
            let _ = reply.send(Ok(verdicts.collect()));
        }
        (Task::Replay { reply, .. }, Done::TooMany) => {
            let _ = reply.send(Err(ReplayError::TooMany));
        }
        (Task::Replay { reply, .. }, Done::Refused(reason)) => {
            let _ = reply.send(Err(ControlError::Unwritable(reason).into()));
        }
        (Task::Discard { reply, .. }, Done::Discarded(is_done)) => {
            let _ = reply.send(Ok(is_done));
        }
        _ => {}
    }
}

/// Answers a task that could not be carried out.
pub(super) fn refuse(task: Task, failure: &WriteFailure) {
    let reason = failure.reason().to_owned();
    let error = match failure {
        WriteFailure::Unwritable(_) => ControlError::Unwritable(reason),
        WriteFailure::Unknown(_) => ControlError::MaybeDone(reason),
        WriteFailure::Failed(_) => ControlError::Failed(reason),
    };
    match task {
        Task::Cancel { reply, .. } => {
            let _ = reply.send(Err(error));
        }
        Task::Replay { reply, .. } => {
            let _ = reply.send(Err(error.into()));
        }
        Task::Discard { reply, .. } => {
            let _ = reply.send(Err(error));
        }
    }
}
