//! Deliveries that somebody cancelled: what has not been sent never is.

use common::Now;

use super::Engine;
use crate::domain::LeaseKey;

impl Engine {
    /// Forgets those that wait. The queue has recorded them already, so nothing is
    /// settled; one in flight is settled when its request has ended.
    pub(super) fn cancel(&mut self, now: Now, deliveries: Vec<LeaseKey>) {
        let are_fetched = self.fetches.are_under_way();
        for key in deliveries {
            if are_fetched {
                self.cancelled.insert(key.position);
            }
            let Some(lane) = self.lanes.get_mut(key.destination) else {
                continue;
            };
            if let Some(held) = lane.withdraw(key) {
                self.held -= 1;
                self.ages.remove(held.lease.alert.accepted_at);
            }
            self.consider_fetching(key.destination);
            self.place(key.destination, now);
        }
    }
}
