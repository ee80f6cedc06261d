//! All lanes, found by destination.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    ops::Bound,
};

use common::DestinationId;

use super::{lane::Lane, schedule::Place};

/// Below this many the map does not bother to give memory back.
const SMALL: usize = 4096;

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Boxed, since the map keeps room for more than it holds.
    lanes: HashMap<DestinationId, Box<Lane>, BuildIdHasher>,
    /// The same in order, so that whoever asks can be told a part at a time.
    order: BTreeSet<DestinationId>,
}

/// Hashes destination ids.
pub(super) type BuildIdHasher = BuildHasherDefault<IdHasher>;

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn ids(&self) -> Vec<DestinationId> {
        self.lanes.keys().copied().collect()
    }

    pub(super) fn get(&self, id: DestinationId) -> Option<&Lane> {
        self.lanes.get(&id).map(AsRef::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: DestinationId) -> Option<&mut Lane> {
        self.lanes.get_mut(&id).map(AsMut::as_mut)
    }

    /// All lanes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DestinationId, &Lane)> {
        self.lanes.iter().map(|(id, lane)| (*id, &**lane))
    }

    /// Those after `after` in the order of their ids; all for `None`.
    pub(super) fn after(
        &self,
        after: Option<DestinationId>,
    ) -> impl Iterator<Item = (DestinationId, &Lane)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.order.range((from, Bound::Unbounded));
        ids.filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The lane of that destination, made if there is none.
    pub(super) fn make(&mut self, id: DestinationId) -> &mut Lane {
        match self.lanes.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.order.insert(id);
                new.insert(Box::default())
            }
        }
    }

    /// Forgets a lane, and gives memory back once most are forgotten.
    pub(super) fn forget(&mut self, id: DestinationId) -> Option<Box<Lane>> {
        let lane = self.lanes.remove(&id);
        self.order.remove(&id);
        if self.lanes.capacity() > SMALL && self.lanes.len() < self.lanes.capacity() / 8 {
            self.lanes.shrink_to(self.lanes.len() * 2);
        }
        lane
    }

    pub(super) fn place_of(&self, id: DestinationId) -> Place {
        self.lanes
            .get(&id)
            .map_or(Place::Nowhere, |lane| lane.place)
    }
}

/// A destination's id is a hash already; this only spreads its bits.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
