//! What the brokers have acknowledged.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryResult, ProducerContext},
};
use tokio::sync::Notify;

use super::progress::Progress;
use crate::client::Events;

/// The most deliveries that are sent and not acknowledged.
const MAX_UNDER_WAY: usize = 20_000;

/// What the brokers have acknowledged, of the deliveries that one producer was given. Each
/// delivery's opaque is its alert's sequence.
pub(super) struct Acks {
    events: Events,
    progress: Mutex<Progress>,
    under_way: AtomicUsize,
    /// How few must be under way for whoever waits for room.
    wanted: AtomicUsize,
    failed: Mutex<Option<String>>,
    changed: Notify,
}

impl Acks {
    pub(super) fn from(offset: u64) -> Self {
        Self {
            events: Events::logged("fan-out"),
            progress: Mutex::new(Progress::from(offset)),
            under_way: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            failed: Mutex::new(None),
            changed: Notify::new(),
        }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is sent.
    pub(super) fn sent(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// One was not sent after all.
    pub(super) fn unsent(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) < MAX_UNDER_WAY
    }

    /// There is no room for another: [`changed`](Self::changed) answers when a quarter of
    /// what is under way is acknowledged.
    pub(super) fn want_room(&self) {
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.wanted.store(under_way / 4 * 3, Ordering::Relaxed);
        // It may have gone below meanwhile.
        if self.under_way.load(Ordering::Relaxed) <= under_way / 4 * 3 {
            self.changed.notify_one();
        }
    }

    /// Whether everything that was sent has been acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Why the producer must not go on, if it must not: something was not published, and
    /// what follows would leave a gap.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock_failed().clone()
    }

    /// Waits until there is room again, all is acknowledged, or it has failed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// It must not go on: something was not published, and what follows would leave a gap.
    pub(super) fn fail(&self, reason: String) {
        self.lock_failed().get_or_insert(reason);
        self.changed.notify_one();
    }

    fn lock_failed(&self) -> MutexGuard<'_, Option<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Acks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fail(reason.to_owned());
        }
        self.events.error(error, reason);
    }
}

impl ProducerContext for Acks {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let left = self.under_way.fetch_sub(1, Ordering::Relaxed) - 1;
        match result {
            Ok(_) => self.progress().acknowledged(sequence as u64),
            Err((error, _)) => self.fail(error.to_string()),
        }
        if left == 0 || left == self.wanted.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}
