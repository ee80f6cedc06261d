//! Telling someone that telling failed.
//!
//! Mishaps are summed up, and at most once a minute a warning says what happened since
//! the last. It is an alert as any other: durable when it is accepted, and in the history.
//! It goes to places [for warnings](common::DestinationId::for_warnings), so that it
//! never stands in the line that it warns of.
//!
//! Warnings do not feed themselves: one that reaches nobody, or dies, is counted and
//! logged and calls for no other.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{AcceptedAlert, Alert, AlertId, Clock, Delivery, Gtid, Mishap, Mishaps, Severity};
use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    domain::{MishapSums, OpsTarget, resolve},
    metrics::WarningMetrics,
    ports::{AlertQueue, DirectoryStore},
};

/// From one warning to the next, at least.
const EVERY: Duration = Duration::from_secs(60);
/// From a mishap to its warning: what has the same cause follows within moments, and
/// belongs into the same one.
const GATHERED: Duration = Duration::from_secs(1);

/// The use case: what goes wrong in telling people is told to the operators.
pub struct Warnings {
    target: OpsTarget,
    directory: Arc<dyn DirectoryStore>,
    queue: Arc<dyn AlertQueue>,
    clock: Arc<dyn Clock>,
    metrics: WarningMetrics,
    sums: Mutex<MishapSums>,
    happened: Notify,
}

impl Mishaps for Warnings {
    fn happened(&self, mishap: Mishap) {
        let mut sums = self.lock();
        sums.add(&mishap);
        self.metrics.untold(sums.count());
        if sums.is_to_be_told() {
            self.happened.notify_one();
        }
    }
}

impl Warnings {
    /// The use case over these ports: `target` is told.
    pub fn new(
        target: OpsTarget,
        directory: Arc<dyn DirectoryStore>,
        queue: Arc<dyn AlertQueue>,
        clock: Arc<dyn Clock>,
        metrics: WarningMetrics,
    ) -> Self {
        Self {
            target,
            directory,
            queue,
            clock,
            metrics,
            sums: Mutex::default(),
            happened: Notify::new(),
        }
    }

    /// Warns until `end` completes, and once more then of what nobody was told: rather
    /// two warnings within a minute than none. So `end` comes when nothing can go wrong
    /// any more, and the queue can still accept.
    ///
    /// Needs a tokio runtime with its timer. To be run once.
    pub async fn run(&self, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            select! {
                () = self.happened.notified() => {}
                () = &mut end => break,
            }
            select! {
                () = sleep(GATHERED) => {}
                () = &mut end => break,
            }
            // Told already, where it was among what was gathered for the last one.
            let Some(sums) = self.take() else { continue };
            let next = Instant::now() + EVERY;
            self.warn(sums).await;
            select! {
                () = sleep_until(next) => {}
                () = &mut end => break,
            }
        }
        if let Some(sums) = self.take() {
            self.warn(sums).await;
        }
    }

    /// What is to be told now, if anything is.
    fn take(&self) -> Option<MishapSums> {
        let mut sums = self.lock();
        if !sums.is_to_be_told() {
            return None;
        }
        self.metrics.untold(0);
        Some(std::mem::take(&mut *sums))
    }

    /// Posts a warning. Where that fails it is to be told the next time.
    async fn warn(&self, sums: MishapSums) {
        let accepted = self.warning(&sums);
        let (id, users) = (accepted.alert.id, accepted.user_count());
        let target = self.target.as_str();
        match self.queue.accept(accepted, None).await {
            Ok(_) if users == 0 => {
                self.metrics.reached_nobody();
                tracing::error!(alert_id = %id, target, "a warning reached nobody: nobody has the name that --ops-target gives");
            }
            Ok(_) => {
                self.metrics.told();
                tracing::warn!(alert_id = %id, target, users, mishaps = sums.count(), "telling people failed, and the operators are told");
            }
            Err(error) => {
                self.metrics.not_accepted();
                tracing::error!(%error, target, mishaps = sums.count(), "a warning could not be accepted; trying again");
                self.take_back(sums);
            }
        }
    }

    /// The warning as an alert with its deliveries.
    fn warning(&self, sums: &MishapSums) -> AcceptedAlert {
        let targets: Box<[Box<str>]> = [self.target.as_str().into()].into();
        let found = resolve(&self.directory.snapshot(), &targets);
        let accepted_at = self.clock.now().utc;
        let alert = Alert {
            id: AlertId::at(accepted_at),
            caller: None,
            gtid: Gtid::random(),
            severity: Severity::High,
            message: sums.text().into(),
            verbatim: false,
            targets,
            accepted_at,
        };
        let for_warnings = |delivery: Delivery| Delivery {
            destination: Arc::new(delivery.destination.for_warnings()),
            ..delivery
        };
        AcceptedAlert {
            alert: Arc::new(alert),
            deliveries: found.deliveries.into_iter().map(for_warnings).collect(),
        }
    }

    fn take_back(&self, earlier: MishapSums) {
        let mut sums = self.lock();
        sums.take_back(earlier);
        self.metrics.untold(sums.count());
        self.happened.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, MishapSums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
