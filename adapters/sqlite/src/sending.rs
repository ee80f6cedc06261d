//! Which deliveries' requests are under way now. Only this process can know, and
//! only for as long as it runs.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use consumer::domain::Position;

#[derive(Default)]
pub(crate) struct Sending(Mutex<Requests>);

/// How many requests of each delivery have begun and are not recorded. More than
/// one where a text has parts: the next goes out before the last is recorded.
type Requests = BTreeMap<Position, u32>;

impl Sending {
    pub(crate) fn begin(&self, delivery: Position) {
        *self.lock().entry(delivery).or_default() += 1;
    }

    pub(crate) fn end(&self, deliveries: impl Iterator<Item = Position>) {
        let mut sending = self.lock();
        for delivery in deliveries {
            if let Entry::Occupied(mut requests) = sending.entry(delivery) {
                *requests.get_mut() -= 1;
                if *requests.get() == 0 {
                    requests.remove();
                }
            }
        }
    }

    pub(crate) fn contains(&self, delivery: Position) -> bool {
        self.lock().contains_key(&delivery)
    }

    /// Those of one alert, by their places in it.
    pub(crate) fn of(&self, sequence: u64) -> BTreeSet<u32> {
        let place = |ordinal| Position { sequence, ordinal };
        let sending = self.lock();
        let found = sending.range(place(0)..=place(u32::MAX));
        found.map(|(delivery, _)| delivery.ordinal).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
