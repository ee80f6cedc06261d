//! A history that tells of what went wrong when it is written.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    Mishap, Mishaps, Severity,
    wire::{OutcomePart, OutcomeRecord},
};

use crate::ports::{Batch, HistoryWriter, RecordError, Recorded};

/// A history whose writer hears of deliveries of high severity that died: where consumers
/// are other processes, their outcomes are all that a producer knows of them.
pub struct WatchedHistory {
    history: Arc<dyn HistoryWriter>,
    mishaps: Arc<dyn Mishaps>,
}

impl WatchedHistory {
    /// `history`, of which `mishaps` hears.
    pub fn new(history: Arc<dyn HistoryWriter>, mishaps: Arc<dyn Mishaps>) -> Self {
        Self { history, mishaps }
    }
}

#[async_trait]
impl HistoryWriter for WatchedHistory {
    async fn record(&self, batch: Batch) -> Result<(), RecordError> {
        let died: Vec<_> = batch
            .outcomes
            .iter()
            .filter_map(|entry| mishap(&entry.record))
            .collect();
        self.history.record(batch).await?;
        for mishap in died {
            self.mishaps.happened(mishap);
        }
        Ok(())
    }

    async fn recorded(&self) -> Result<Recorded, RecordError> {
        self.history.recorded().await
    }

    async fn begin_anew(&self, log: u32, next: u64) -> Result<(), RecordError> {
        self.history.begin_anew(log, next).await
    }
}

fn mishap(record: &OutcomeRecord) -> Option<Mishap> {
    let OutcomePart::Dead { reason } = &record.outcome else {
        return None;
    };
    let high = usize::from(Severity::High.code());
    let deliveries = match &record.digest {
        Some(digest) => digest.by_severity[high],
        None => u32::from(record.severity == Severity::High),
    };
    // That a warning died is no reason for another one.
    let is_told_of = deliveries > 0 && !record.destination_id.is_for_warnings();
    is_told_of.then(|| Mishap::HighDied {
        deliveries,
        delivery: record.delivery_id,
        place: format!("destination {}", record.destination_id.0).into(),
        reason: reason.as_str().into(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use common::{AlertId, DeliveryId, DestinationId, UtcMillis, wire::Place};
    use uuid::Uuid;

    use super::*;
    use crate::ports::OutcomeEntry;

    /// A history that is there or away.
    struct Fake {
        is_away: bool,
    }

    #[async_trait]
    impl HistoryWriter for Fake {
        async fn record(&self, _: Batch) -> Result<(), RecordError> {
            match self.is_away {
                true => Err(RecordError::Unavailable("it is away".into())),
                false => Ok(()),
            }
        }

        async fn recorded(&self) -> Result<Recorded, RecordError> {
            Ok(Recorded::default())
        }

        async fn begin_anew(&self, _: u32, _: u64) -> Result<(), RecordError> {
            Ok(())
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<Mishap>>);

    impl Mishaps for Heard {
        fn happened(&self, mishap: Mishap) {
            self.0.lock().unwrap().push(mishap);
        }
    }

    fn outcome(severity: Severity, destination: DestinationId, outcome: OutcomePart) -> Batch {
        let record = OutcomeRecord {
            v: 1,
            place: Place {
                sequence: 1,
                ordinal: 0,
            },
            alert_id: AlertId(Uuid::nil()),
            delivery_id: DeliveryId(Uuid::from_u128(7)),
            destination_id: destination,
            severity,
            at: UtcMillis(0),
            parts_sent: 0,
            attempt: None,
            outcome,
            digest: None,
        };
        Batch {
            alerts: Vec::new(),
            outcomes: vec![OutcomeEntry {
                log: 0,
                position: 0,
                record,
            }],
        }
    }

    async fn heard(is_away: bool, batch: Batch) -> Vec<Mishap> {
        let heard = Arc::new(Heard::default());
        let watched = WatchedHistory::new(Arc::new(Fake { is_away }), heard.clone());
        assert_eq!(watched.record(batch).await.is_err(), is_away);
        std::mem::take(&mut *heard.0.lock().unwrap())
    }

    fn dead() -> OutcomePart {
        OutcomePart::Dead {
            reason: "channel_not_found".into(),
        }
    }

    #[tokio::test]
    async fn a_high_delivery_that_died_is_told_of_once_it_is_recorded() {
        let place = DestinationId(4);
        let told = heard(false, outcome(Severity::High, place, dead())).await;
        let expected = Mishap::HighDied {
            deliveries: 1,
            delivery: DeliveryId(Uuid::from_u128(7)),
            place: "destination 4".into(),
            reason: "channel_not_found".into(),
        };
        assert_eq!(told, [expected]);
        assert!(
            heard(true, outcome(Severity::High, place, dead()))
                .await
                .is_empty()
        );
    }

    #[tokio::test]
    async fn nothing_else_is_told_of() {
        let place = DestinationId(4);
        let warnings = place.for_warnings();
        for batch in [
            outcome(Severity::Normal, place, dead()),
            outcome(Severity::High, warnings, dead()),
            outcome(Severity::High, place, OutcomePart::Delivered),
            Batch::default(),
        ] {
            assert!(heard(false, batch).await.is_empty());
        }
    }
}
