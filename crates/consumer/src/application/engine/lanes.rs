//! All lanes, found by destination.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use common::DestinationId;

use super::{lane::Lane, schedule::Place};

/// Below this many the map does not bother to give memory back.
const SMALL: usize = 4096;

/// All lanes. Boxed, since the map keeps room for more than it holds.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<DestinationId, Box<Lane>, BuildIdHasher>);

/// Hashes destination ids.
pub(super) type BuildIdHasher = BuildHasherDefault<IdHasher>;

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn ids(&self) -> Vec<DestinationId> {
        self.0.keys().copied().collect()
    }

    pub(super) fn get(&self, id: DestinationId) -> Option<&Lane> {
        self.0.get(&id).map(AsRef::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: DestinationId) -> Option<&mut Lane> {
        self.0.get_mut(&id).map(AsMut::as_mut)
    }

    /// All lanes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DestinationId, &Lane)> {
        self.0.iter().map(|(id, lane)| (*id, &**lane))
    }

    /// The lane of that destination, made if there is none.
    pub(super) fn make(&mut self, id: DestinationId) -> &mut Lane {
        self.0.entry(id).or_default()
    }

    /// Forgets a lane, and gives memory back once most are forgotten.
    pub(super) fn forget(&mut self, id: DestinationId) -> Option<Box<Lane>> {
        let lane = self.0.remove(&id);
        if self.0.capacity() > SMALL && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(self.0.len() * 2);
        }
        lane
    }

    pub(super) fn place_of(&self, id: DestinationId) -> Place {
        self.0.get(&id).map_or(Place::Nowhere, |lane| lane.place)
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
