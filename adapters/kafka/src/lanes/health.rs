//! Whether a process makes progress.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::shared::Shared;

/// Whether the lanes of a process make progress.
#[derive(Debug, Default)]
pub struct Health {
    has_joined: AtomicBool,
    lanes: AtomicUsize,
    shared: Mutex<Weak<Shared>>,
}

impl Health {
    /// `Ok` where this process is a member of its group and can prove it, or has no
    /// partition to deliver from; else what is wrong. Answers from memory.
    pub fn check(&self) -> Result<(), String> {
        if !self.has_joined.load(Ordering::SeqCst) {
            return Err("this process has not joined the group of consumers yet".into());
        }
        let shared = self.lock().upgrade();
        let is_open = shared.is_some_and(|shared| shared.fence.is_open());
        if self.lanes() > 0 && !is_open {
            return Err("the group of consumers has not heard of this process lately".into());
        }
        Ok(())
    }

    /// How many partitions this process has.
    pub fn lanes(&self) -> usize {
        self.lanes.load(Ordering::SeqCst)
    }

    pub(super) fn begins(&self, shared: &Arc<Shared>) {
        self.has_joined.store(false, Ordering::SeqCst);
        self.has(0);
        *self.lock() = Arc::downgrade(shared);
    }

    pub(super) fn joined(&self) {
        self.has_joined.store(true, Ordering::SeqCst);
    }

    pub(super) fn has(&self, lanes: usize) {
        self.lanes.store(lanes, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Shared>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
