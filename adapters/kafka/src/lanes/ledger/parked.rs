//! Where what is parked lies on disk. Memory holds the index alone.

use std::{collections::BTreeMap, ops::Bound};

use common::{DestinationId, Severity, wire::Place};
use consumer::{domain::LeaseKey, ports::ParkedLane};

use super::{Feed, place_of};
use crate::lanes::spill::Slot;

/// One that is parked, or folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shelved {
    /// Where its row is.
    pub(super) slot: Slot,
    /// Where it was read, if it was since the assignment.
    pub(super) feed: Option<Feed>,
}

/// The parked deliveries of a partition, by lane and severity. Each takes 32 bytes in a
/// B-tree, so about 50; each lane and severity about 100. They are told in order, so that a
/// simulated run can be replayed.
#[derive(Debug, Default)]
pub(super) struct Parked {
    lanes: BTreeMap<(DestinationId, Severity), BTreeMap<Place, Shelved>>,
}

impl Parked {
    pub(super) fn insert(&mut self, key: LeaseKey, shelved: Shelved) -> Option<Shelved> {
        let lane = self.lanes.entry((key.destination, key.severity));
        lane.or_default().insert(place_of(key), shelved)
    }

    pub(super) fn get(&self, key: LeaseKey) -> Option<Shelved> {
        let lane = self.lanes.get(&(key.destination, key.severity))?;
        lane.get(&place_of(key)).copied()
    }

    pub(super) fn remove(&mut self, key: LeaseKey) -> Option<Shelved> {
        let lane = self.lanes.get_mut(&(key.destination, key.severity))?;
        let removed = lane.remove(&place_of(key));
        if lane.is_empty() {
            self.lanes.remove(&(key.destination, key.severity));
        }
        removed
    }

    /// One that was read again: it says where.
    pub(super) fn was_read(&mut self, key: LeaseKey, feed: Feed) -> bool {
        let lane = self.lanes.get_mut(&(key.destination, key.severity));
        match lane.and_then(|lane| lane.get_mut(&place_of(key))) {
            Some(shelved) => {
                shelved.feed = Some(feed);
                true
            }
            None => false,
        }
    }

    /// Those of one lane and severity after a place, in order.
    pub(super) fn after(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Place>,
        room: usize,
    ) -> Vec<(Place, Slot)> {
        let Some(lane) = self.lanes.get(&(destination, severity)) else {
            return Vec::new();
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        lane.range((from, Bound::Unbounded))
            .take(room)
            .map(|(place, shelved)| (*place, shelved.slot))
            .collect()
    }

    /// Those of one alert.
    pub(super) fn of_alert(&self, sequence: u64) -> Vec<LeaseKey> {
        let all = Place {
            sequence,
            ordinal: 0,
        }..=Place {
            sequence,
            ordinal: u32::MAX,
        };
        let lanes = self.lanes.iter();
        lanes
            .flat_map(|((destination, severity), lane)| {
                lane.range(all.clone()).map(|(place, _)| LeaseKey {
                    position: super::position_of(*place),
                    destination: *destination,
                    severity: *severity,
                })
            })
            .collect()
    }

    /// How many of each lane and severity.
    pub(super) fn lanes(&self) -> Vec<ParkedLane> {
        let lanes = self.lanes.iter();
        lanes
            .map(|((destination, severity), lane)| ParkedLane {
                destination: *destination,
                severity: *severity,
                count: lane.len() as u64,
            })
            .collect()
    }
}
