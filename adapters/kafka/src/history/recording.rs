//! A batch is handed on, whatever it takes.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use producer::ports::{Batch, HistoryWriter, RecordError};
use tokio::time::{sleep, timeout};

use super::{
    gathering::Gathered,
    membership::{Membership, Partition},
    metrics::FeedMetrics,
};

/// How long after a failure the batch is tried again: the first time, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What has come of waiting for the writer.
pub(super) enum Recorded {
    /// The batch is recorded, and all before these offsets with it.
    All(HashMap<Partition, i64>),
    /// The writer failed, and will be asked again.
    NotYet,
}

/// The batch under way.
pub(super) struct Recording {
    writer: Arc<dyn HistoryWriter>,
    metrics: FeedMetrics,
    under_way: Option<UnderWay>,
    wait: Duration,
}

struct UnderWay {
    batch: Batch,
    positions: HashMap<Partition, i64>,
    trying: Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>,
    has_failed: bool,
}

impl Recording {
    pub(super) fn new(writer: Arc<dyn HistoryWriter>, metrics: FeedMetrics) -> Self {
        Self {
            writer,
            metrics,
            under_way: None,
            wait: FIRST_WAIT,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Whether the writer did not take the batch the last time.
    pub(super) fn is_failing(&self) -> bool {
        self.under_way.as_ref().is_some_and(|one| one.has_failed)
    }

    /// Hands a batch on. To be called only while it is idle.
    pub(super) fn begin(&mut self, gathered: Gathered) {
        let Gathered { batch, positions } = gathered;
        self.under_way = Some(UnderWay {
            trying: attempt(self.writer.clone(), batch.clone(), self.metrics.clone()),
            batch,
            positions,
            has_failed: false,
        });
    }

    /// Waits for the writer's answer; for ever where nothing is under way.
    pub(super) async fn next(&mut self) -> Recorded {
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let answer = under_way.trying.as_mut().await;
        match answer {
            Ok(()) => {
                if under_way.has_failed {
                    tracing::info!("the history is written again");
                }
                let positions = std::mem::take(&mut under_way.positions);
                self.under_way = None;
                self.wait = FIRST_WAIT;
                Recorded::All(positions)
            }
            Err(error) => {
                self.metrics.failures.inc();
                if !under_way.has_failed {
                    tracing::warn!("the history waits, and nothing of it is lost: {error}");
                }
                under_way.has_failed = true;
                let again = attempt(
                    self.writer.clone(),
                    under_way.batch.clone(),
                    self.metrics.clone(),
                );
                let wait = self.wait;
                under_way.trying = Box::pin(async move {
                    sleep(wait).await;
                    again.await
                });
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                Recorded::NotYet
            }
        }
    }

    /// Waits for the batch under way, for that long at most.
    pub(super) async fn finish_within(&mut self, within: Duration, membership: &Membership) {
        if self.is_idle() || self.is_failing() {
            return;
        }
        if let Ok(Recorded::All(positions)) = timeout(within, self.next()).await {
            membership.reached(positions);
        }
    }
}

fn attempt(
    writer: Arc<dyn HistoryWriter>,
    batch: Batch,
    metrics: FeedMetrics,
) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>> {
    Box::pin(async move { record(&*writer, batch, &metrics).await })
}

/// Hands a batch on. One that the writer fails at for no passing reason is cut up, so that
/// a record that cannot be written holds nobody up: it is left out once others of the
/// batch were written. Where none is, it is not a record's fault.
async fn record(
    writer: &dyn HistoryWriter,
    batch: Batch,
    metrics: &FeedMetrics,
) -> Result<(), RecordError> {
    let count = len(&batch);
    let whole = writer.record(batch.clone()).await;
    let Err(RecordError::Failed(_)) = whole else {
        return whole;
    };
    if count <= 1 {
        return whole;
    }
    let mut left_out = Vec::new();
    let mut pieces = vec![batch];
    while let Some(piece) = pieces.pop() {
        match writer.record(piece.clone()).await {
            Ok(()) => {}
            Err(RecordError::Unavailable(reason)) => {
                return Err(RecordError::Unavailable(reason));
            }
            Err(error) if len(&piece) == 1 => left_out.push((named(&piece), error)),
            Err(_) => {
                // The first half comes off the pile first: a log is recorded in order.
                let (first, second) = halves(piece);
                pieces.push(second);
                pieces.push(first);
            }
        }
    }
    if left_out.len() == count {
        return whole;
    }
    for (name, error) in left_out {
        metrics.left_out.inc();
        tracing::error!("{name} is left out of the history: {error}");
    }
    Ok(())
}

fn len(batch: &Batch) -> usize {
    batch.alerts.len() + batch.outcomes.len()
}

fn halves(mut batch: Batch) -> (Batch, Batch) {
    let half = len(&batch) / 2;
    let alerts = batch.alerts.split_off(half.min(batch.alerts.len()));
    let outcomes = batch
        .outcomes
        .split_off(half.saturating_sub(batch.alerts.len()));
    (batch, Batch { alerts, outcomes })
}

fn named(batch: &Batch) -> String {
    match (batch.alerts.first(), batch.outcomes.first()) {
        (Some(alert), _) => format!("alert {} ({})", alert.record.alert_id, alert.sequence),
        (None, Some(outcome)) => format!(
            "the outcome {}-{} of delivery {}",
            outcome.log, outcome.position, outcome.record.delivery_id
        ),
        (None, None) => "nothing".into(),
    }
}

#[cfg(test)]
mod tests;
