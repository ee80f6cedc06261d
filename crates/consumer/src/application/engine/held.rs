//! A delivery in memory.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use common::{CredentialId, Now, Severity};

use super::settings::EngineSettings;
use crate::domain::{Fault, Lease, LeaseKey, Position};

/// A delivery in memory, with what has been tried.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Arc<Lease>,
    /// Since when it has waited: received or last tried, in monotonic time.
    pub(super) since: Duration,
    /// Since when its age counts: its acceptance or replay, in milliseconds of
    /// monotonic time; below zero where that was before this process.
    counts_from: i64,
    pub(super) attempts: u32,
    pub(super) parts_sent: u16,
    /// How often it was refused because of its own content.
    pub(super) refusals: u16,
    /// Somebody cancelled it while its request was under way: nothing follows.
    pub(super) cancelled: bool,
    /// When it was first refused for a reason that nobody knows, in seconds of
    /// monotonic time, and has been ever since.
    pub(super) unclear_since: Option<NonZeroU32>,
}

impl Held {
    pub(super) fn new(lease: Lease, now: Now, age: Duration, settings: &EngineSettings) -> Self {
        let progress = lease.progress;
        // How many of the attempts were refusals of its content is not stored:
        // it gets one more at least.
        let refusals = match progress.wait {
            Some(wait) if wait.fault == Fault::Payload => {
                let most = settings.payload_attempts.saturating_sub(1);
                u16::try_from(progress.attempts)
                    .unwrap_or(u16::MAX)
                    .min(most)
            }
            _ => 0,
        };
        Self {
            since: now.mono,
            counts_from: millis(now.mono).saturating_sub(millis(age)),
            unclear_since: None,
            attempts: progress.attempts,
            parts_sent: progress.parts_sent,
            refusals,
            cancelled: false,
            lease: Arc::new(lease),
        }
    }

    pub(super) fn key(&self) -> LeaseKey {
        self.lease.key()
    }

    pub(super) fn severity(&self) -> Severity {
        self.lease.alert.severity
    }

    pub(super) fn credential(&self) -> CredentialId {
        self.lease.credential.id
    }

    /// The digest that this one leads, as if it had waited since then.
    pub(super) fn lead_of(&self, digest: Lease) -> Self {
        Self {
            lease: Arc::new(digest),
            refusals: 0,
            ..*self
        }
    }

    /// Whether no request for it has begun, in this process or an earlier one.
    pub(super) fn is_untried(&self) -> bool {
        self.attempts == 0 && self.lease.digest.is_none()
    }

    /// Counts an attempt that has ended.
    pub(super) fn tried(&mut self, now: Duration) {
        self.since = now;
        self.attempts = self.attempts.saturating_add(1);
    }

    pub(super) fn age_at(&self, now: Duration) -> Duration {
        span(millis(now).saturating_sub(self.counts_from))
    }

    /// Since when its age counts, in monotonic time; zero where that was before.
    pub(super) fn counts_from(&self) -> Duration {
        span(self.counts_from)
    }

    /// When it reaches that age, in monotonic time; zero where it was before.
    pub(super) fn reaches(&self, age: Duration) -> Duration {
        span(self.counts_from.saturating_add(millis(age)))
    }

    /// It was refused for a reason that nobody knows; answers since when it is
    /// refused so, where that was not the first time.
    pub(super) fn refused_unclearly(&mut self, now: Duration) -> Option<Duration> {
        let since = self.unclear_since;
        if since.is_none() {
            let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
            self.unclear_since = NonZeroU32::new(seconds.max(1));
        }
        since.map(|since| Duration::from_secs(since.get().into()))
    }

    pub(super) fn position(&self) -> Position {
        self.lease.position
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
