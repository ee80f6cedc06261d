use std::sync::Mutex;

use async_trait::async_trait;
use common::{
    AlertId, DeliveryId, DestinationId, Severity, UtcMillis,
    wire::{OutcomePart, OutcomeRecord, Place, VERSION},
};
use producer::ports::{OutcomeEntry, Recorded as Positions};
use uuid::Uuid;

use super::*;

/// Keeps what it takes, fails at what it is told to, and is away for so many calls.
#[derive(Default)]
struct Writer {
    taken: Mutex<Vec<u64>>,
    poison: Vec<u64>,
    away: Mutex<usize>,
}

#[async_trait]
impl HistoryWriter for Writer {
    async fn record(&self, batch: Batch) -> Result<(), RecordError> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(RecordError::Unavailable("it is away".into()));
        }
        let positions = batch.outcomes.iter().map(|one| one.position);
        if positions.clone().any(|one| self.poison.contains(&one)) {
            return Err(RecordError::Failed("it cannot be written".into()));
        }
        self.taken.lock().unwrap().extend(positions);
        Ok(())
    }

    async fn recorded(&self) -> Result<Positions, RecordError> {
        Ok(Positions::default())
    }

    async fn begin_anew(&self, _log: u32, _next: u64) -> Result<(), RecordError> {
        Ok(())
    }
}

fn batch(positions: std::ops::Range<u64>) -> Batch {
    let outcome = |position| OutcomeEntry {
        log: 0,
        position,
        record: OutcomeRecord {
            v: VERSION,
            place: Place {
                sequence: position,
                ordinal: 0,
            },
            alert_id: AlertId(Uuid::nil()),
            delivery_id: DeliveryId(Uuid::nil()),
            destination_id: DestinationId(1),
            severity: Severity::Low,
            at: UtcMillis(0),
            parts_sent: 0,
            attempt: None,
            outcome: OutcomePart::Delivered,
            digest: None,
        },
    };
    Batch {
        outcomes: positions.map(outcome).collect(),
        ..Batch::default()
    }
}

fn gathered(positions: std::ops::Range<u64>) -> Gathered {
    let end = positions.end as i64;
    Gathered {
        batch: batch(positions),
        positions: [(("outcomes".to_owned(), 0), end)].into(),
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_left_out_and_the_others_are_written_in_order() {
    let writer = Arc::new(Writer {
        poison: vec![0, 7, 8, 99],
        ..Writer::default()
    });
    let metrics = FeedMetrics::default();
    let mut recording = Recording::new(writer.clone(), metrics.clone());
    recording.begin(gathered(0..100));
    let Recorded::All(positions) = recording.next().await else {
        panic!("the others can be written");
    };
    assert_eq!(positions.into_values().collect::<Vec<_>>(), [100]);
    let expected: Vec<u64> = (0..100)
        .filter(|one| !writer.poison.contains(one))
        .collect();
    assert_eq!(*writer.taken.lock().unwrap(), expected);
    assert_eq!(metrics.left_out.get(), 4);
}

#[tokio::test]
async fn where_nothing_can_be_written_nothing_is_left_out() {
    for count in [1, 5] {
        let writer = Arc::new(Writer {
            poison: (0..count).collect(),
            ..Writer::default()
        });
        let metrics = FeedMetrics::default();
        let mut recording = Recording::new(writer, metrics.clone());
        recording.begin(gathered(0..count));
        assert!(matches!(recording.next().await, Recorded::NotYet));
        assert!(recording.is_failing());
        assert_eq!(metrics.left_out.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_away_gets_the_same_batch_when_it_is_back() {
    let writer = Arc::new(Writer {
        away: Mutex::new(3),
        ..Writer::default()
    });
    let mut recording = Recording::new(writer.clone(), FeedMetrics::default());
    recording.begin(gathered(5..9));
    for _ in 0..3 {
        assert!(matches!(recording.next().await, Recorded::NotYet));
        assert!(recording.is_failing() && !recording.is_idle());
    }
    assert!(matches!(recording.next().await, Recorded::All(_)));
    assert!(recording.is_idle());
    assert_eq!(*writer.taken.lock().unwrap(), [5, 6, 7, 8]);
}
