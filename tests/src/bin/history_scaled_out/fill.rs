//! Records as the queue tells them.

use common::{
    AlertId, CredentialId, DeliveryId, Severity, UserId, UtcMillis,
    wire::{
        AlertBody, AlertRecord, AttemptPart, Hidden, OutcomePart, OutcomeRecord, Place,
        RecipientDelivery, Served, VERSION,
    },
};
use producer::ports::{AlertEntry, Batch, HistoryWriter, OutcomeEntry};
use uuid::Uuid;

use crate::USERS;

/// Records a batch, as under load.
const BATCH: u64 = 2_000;
/// The alerts are spread over so long before now.
const SPAN_MS: i64 = 6 * 24 * 60 * 60 * 1000;
/// One alert in so many is high, and one in so many low.
const HIGH_IN: u64 = 100;
const LOW_IN: u64 = 10;
/// One delivery in so many is dead, and one in so many cancelled.
const DEAD_IN: u64 = 1_000;
const CANCELLED_IN: u64 = 5_000;

/// How many deliveries an alert has.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    One,
    Everybody,
}

/// Fills a history, from one call to the next.
pub(crate) struct Filling {
    /// What is accepted last is accepted now.
    pub(crate) first_at: i64,
    step: f64,
    next: u64,
    position: u64,
    /// Some of what was recorded.
    pub(crate) ids: Vec<(AlertId, DeliveryId)>,
}

impl Filling {
    pub(crate) fn new(count: u64) -> Self {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).expect("a time");
        Self {
            first_at: now.as_millis() as i64 - SPAN_MS,
            step: SPAN_MS as f64 / count as f64,
            next: 1,
            position: 0,
            ids: Vec::new(),
        }
    }

    /// Records so many deliveries; says how many.
    pub(crate) async fn fill(
        &mut self,
        history: &dyn HistoryWriter,
        count: u64,
        shape: Shape,
    ) -> u64 {
        let users = match shape {
            Shape::One => 1,
            Shape::Everybody => count,
        };
        let mut done = 0;
        while done < count {
            let alerts = BATCH.min((count - done) / users).max(1);
            let alerts: Vec<_> = (0..alerts).map(|_| self.alert(users)).collect();
            let outcomes: Vec<_> = alerts.iter().flat_map(|one| self.outcomes(one)).collect();
            done += outcomes.len() as u64;
            let batch = Batch {
                alerts,
                ..Batch::default()
            };
            history.record(batch).await.expect("room");
            for outcomes in outcomes.chunks(BATCH as usize) {
                let batch = Batch {
                    outcomes: outcomes.to_vec(),
                    ..Batch::default()
                };
                history.record(batch).await.expect("room");
            }
        }
        done
    }

    /// Records alerts, then their outcomes in small batches; says how many outcomes, whose
    /// time alone counts.
    pub(crate) async fn singly(
        &mut self,
        history: &dyn HistoryWriter,
        count: u64,
        batch: u64,
    ) -> u64 {
        let alerts: Vec<_> = (0..count).map(|_| self.alert(1)).collect();
        let outcomes: Vec<_> = alerts.iter().flat_map(|one| self.outcomes(one)).collect();
        let batches = outcomes.chunks(batch as usize).map(|outcomes| Batch {
            outcomes: outcomes.to_vec(),
            ..Batch::default()
        });
        let batches: Vec<_> = batches.collect();
        for batch in batches {
            history.record(batch).await.expect("room");
        }
        let batch = Batch {
            alerts,
            ..Batch::default()
        };
        history.record(batch).await.expect("room");
        outcomes.len() as u64
    }

    fn alert(&mut self, users: u64) -> AlertEntry {
        let sequence = self.next;
        self.next += 1;
        let accepted_at = UtcMillis(self.first_at + (sequence as f64 * self.step) as i64);
        let severity = match sequence {
            one if one % HIGH_IN == 0 => Severity::High,
            one if one % LOW_IN == 3 => Severity::Low,
            _ => Severity::Normal,
        };
        let delivery = |n: u64| {
            let user = match users {
                1 => sequence * 7 % USERS,
                _ => n,
            };
            RecipientDelivery {
                kind: "slack".into(),
                base_url: String::new(),
                address: format!("C{user:08}"),
                for_warnings: false,
                credential_id: CredentialId(user as i64 + 1),
                token: Hidden::new("xoxb-token"),
                users: vec![Served(UserId(user_id(user)), 0)],
            }
        };
        AlertEntry {
            sequence,
            record: AlertRecord {
                v: VERSION,
                alert_id: AlertId::at(accepted_at),
                caller: None,
                gtid: Uuid::new_v4().to_string(),
                severity,
                accepted_at,
                chunk: None,
                sealed: None,
                body: Hidden::new(""),
            },
            body: AlertBody {
                message: format!(
                    "node{} down, disk {} at {sequence} of its limit",
                    sequence % 977,
                    sequence % 31
                ),
                verbatim: false,
                targets: vec![format!("@user{}", sequence * 7 % USERS)],
                deliveries: (0..users).map(delivery).collect(),
            },
        }
    }

    fn outcomes(&mut self, alert: &AlertEntry) -> Vec<OutcomeEntry> {
        let sequence = alert.sequence;
        let deliveries = alert.body.deliveries.iter().enumerate();
        let outcomes = deliveries.map(|(ordinal, delivery)| {
            let destination_id = delivery.destination_id();
            let delivery_id = DeliveryId::of(
                alert.record.alert_id,
                destination_id,
                delivery.credential_id,
            );
            let started_at = UtcMillis(alert.record.accepted_at.0 + 3);
            let (outcome, is_taken) = match sequence {
                one if one % DEAD_IN == 1 => {
                    let reason = "refused for good: channel_not_found".into();
                    (OutcomePart::Dead { reason }, false)
                }
                one if one % CANCELLED_IN == 2 => (OutcomePart::Cancelled, false),
                _ => (OutcomePart::Delivered, true),
            };
            if sequence % 1_009 == 7 && ordinal == 0 {
                self.ids.push((alert.record.alert_id, delivery_id));
            }
            let position = self.position;
            self.position += 1;
            OutcomeEntry {
                log: 0,
                position,
                record: OutcomeRecord {
                    v: VERSION,
                    place: Place {
                        sequence,
                        ordinal: ordinal as u32,
                    },
                    alert_id: alert.record.alert_id,
                    delivery_id,
                    destination_id,
                    severity: alert.record.severity,
                    at: UtcMillis(started_at.0 + 105),
                    parts_sent: u16::from(is_taken),
                    attempt: Some(AttemptPart {
                        number: 1,
                        started_at,
                        took_us: 104_321,
                        result: if is_taken { "accepted" } else { "refused" }.into(),
                        status: Some(200),
                        error: (!is_taken).then(|| "channel_not_found".into()),
                        provider_id: is_taken.then(|| "1503435956.000247".into()),
                    }),
                    outcome,
                    digest: None,
                },
            }
        });
        outcomes.collect()
    }
}

pub(crate) fn user_id(user: u64) -> Uuid {
    // As random as users' ids are.
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &user.to_be_bytes())
}
