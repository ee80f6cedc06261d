//! What those who watch are told: breakers as they change, and pages of how
//! destinations stand. It has to agree with the engine's own counts.

use std::collections::HashMap;

use common::{
    Now,
    status::{BreakerOf, BreakerState, DestinationState, StatusFilter},
};
use consumer::application::engine::{BreakerChange, Engine};

/// A look at everything takes long, so only every so often.
const EVERY: u32 = 512;

/// What a process has told since it began.
#[derive(Debug, Default)]
pub(crate) struct Told {
    breakers: HashMap<BreakerOf, BreakerState>,
    calls: u32,
}

impl Told {
    /// Each change begins where the one before has ended.
    pub(crate) fn hear(&mut self, change: BreakerChange) {
        let known = self.breakers.remove(&change.of);
        assert_eq!(
            known.unwrap_or(BreakerState::Closed),
            change.from,
            "{change:?}"
        );
        assert_ne!(change.from, change.to, "{change:?}");
        if change.to != BreakerState::Closed {
            self.breakers.insert(change.of, change.to);
        }
    }

    /// Asks for all that the engine knows, page by page.
    pub(crate) fn look(&mut self, engine: &Engine, now: Now) {
        self.calls += 1;
        if !self.calls.is_multiple_of(EVERY) {
            return;
        }
        let counts = engine.counts();
        let (mut parked, mut sending, mut named) = (0, 0, 0);
        let mut after = None;
        loop {
            let page = engine.status(now, &StatusFilter::default(), after, 50);
            for status in &page.destinations {
                assert!(after.is_none_or(|last| last < status.id), "out of order");
                after = Some(status.id);
                parked += status.parked.iter().sum::<u64>();
                sending += usize::from(status.state == DestinationState::Sending);
                named += 1;
            }
            let breakers = page.breakers.into_iter();
            let open: HashMap<_, _> = breakers
                .filter(|one| one.state != BreakerState::Closed)
                .map(|one| (one.of, one.state))
                .collect();
            assert_eq!(open, self.breakers, "breakers that nobody was told of");
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((parked, sending), (counts.parked, counts.in_flight));
        assert!(named <= counts.lanes);
    }
}
