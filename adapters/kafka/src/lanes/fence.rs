//! Whether this process is a member of its group, as far as it can prove.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The last proof of membership. A member is missed by its group one session time-out
/// after the group last heard of it; a commit that succeeded proves that it heard of it
/// after the commit was begun. So whoever asks before acting does not act for a lane that
/// another process may have, even where it was suspended between any two instructions
/// before.
#[derive(Debug)]
pub(super) struct Fence {
    began: Instant,
    /// Microseconds since then; 0 before the first.
    proved: AtomicU64,
    /// How long a proof holds.
    holds: Duration,
    proofs: Notify,
}

impl Fence {
    /// A fence that is closed until there is a proof.
    pub(super) fn new(holds: Duration) -> Self {
        Self {
            began: Instant::now(),
            proved: AtomicU64::new(0),
            holds,
            proofs: Notify::new(),
        }
    }

    /// Something that only a member can do was begun at that time, and succeeded.
    pub(super) fn prove(&self, begun: Instant) {
        let micros = begun.saturating_duration_since(self.began).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
        self.proved.fetch_max(micros, Ordering::SeqCst);
        self.proofs.notify_waiters();
    }

    /// Waits until there is a proof that holds.
    pub(super) async fn opened(&self) {
        loop {
            let mut proof = std::pin::pin!(self.proofs.notified());
            proof.as_mut().enable();
            if self.is_open() {
                return;
            }
            proof.await;
        }
    }

    /// Whether the last proof still holds.
    pub(super) fn is_open(&self) -> bool {
        self.holds_at(Instant::now())
    }

    fn holds_at(&self, now: Instant) -> bool {
        let proved = self.proved.load(Ordering::SeqCst);
        let holds_until = Duration::from_micros(proved).saturating_add(self.holds);
        proved > 0 && now.saturating_duration_since(self.began) < holds_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_the_session_from_when_it_was_begun() {
        let fence = Fence::new(Duration::from_secs(8));
        let at = |seconds| fence.began + Duration::from_secs(seconds);
        assert!(!fence.holds_at(at(0)));
        fence.prove(at(0));
        assert!(fence.holds_at(at(7)) && !fence.holds_at(at(9)));
        fence.prove(at(5));
        // One that was begun earlier and answered later proves nothing more.
        fence.prove(at(3));
        assert!(fence.holds_at(at(12)) && !fence.holds_at(at(13)));
    }
}
