//! Lanes of which everything is on disk: a few dozen bytes each, so that a million
//! destinations behind a dead host cost no more than that.
//!
//! What arrives for such a lane is parked too, since it comes after what is parked
//! already. The lane is woken when there is room and its host is well.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
};

use common::{DestinationId, Severity};

use super::hosts::HostId;

/// Hosts looked at for one that can be woken for, at most, at a time.
const LOOKS: usize = 64;

/// A lane that sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleeper {
    /// Not known until a delivery of it was seen.
    pub(super) host: Option<HostId>,
    /// Parked, by severity code.
    pub(super) counts: [u32; 3],
}

/// All lanes that sleep, and in which order they are woken.
#[derive(Debug, Default)]
pub(super) struct Dormant {
    /// In order, so that whoever asks can be told a part at a time; and in less memory
    /// than a hash map takes.
    sleepers: BTreeMap<DestinationId, Sleeper>,
    /// For each host, those with a high delivery parked and the others; the host
    /// may be unknown. An entry whose lane is awake no longer counts.
    lines: HashMap<Option<HostId>, [VecDeque<DestinationId>; 2]>,
    /// The hosts that have a line, in turn.
    turns: VecDeque<Option<HostId>>,
}

impl Dormant {
    pub(super) fn len(&self) -> usize {
        self.sleepers.len()
    }

    pub(super) fn contains(&self, id: DestinationId) -> bool {
        !self.sleepers.is_empty() && self.sleepers.contains_key(&id)
    }

    /// Those after `after` in the order of their ids; all for `None`.
    pub(super) fn after(
        &self,
        after: Option<DestinationId>,
    ) -> impl Iterator<Item = (DestinationId, &Sleeper)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.sleepers.range((from, Bound::Unbounded));
        found.map(|(id, sleeper)| (*id, sleeper))
    }

    /// Counts parked deliveries of a lane that sleeps, or falls asleep by this;
    /// answers whether it did not sleep before.
    pub(super) fn park(
        &mut self,
        id: DestinationId,
        host: Option<HostId>,
        severity: Severity,
        count: u64,
    ) -> bool {
        let is_new = !self.sleepers.contains_key(&id);
        let sleeper = self.sleepers.entry(id).or_insert(Sleeper {
            host,
            counts: [0; 3],
        });
        let had_high = sleeper.counts[usize::from(Severity::High.code())] > 0;
        let parked = &mut sleeper.counts[usize::from(severity.code())];
        *parked = parked.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let host = sleeper.host;
        if is_new || (severity == Severity::High && !had_high) {
            let line = usize::from(severity != Severity::High);
            if !self.lines.contains_key(&host) {
                self.turns.push_back(host);
            }
            self.lines.entry(host).or_default()[line].push_back(id);
        }
        is_new
    }

    /// Takes out a lane that sleeps.
    pub(super) fn take(&mut self, id: DestinationId) -> Option<Sleeper> {
        self.sleepers.remove(&id)
    }

    /// The lane to wake next, of a host that is `well`; takes it out.
    pub(super) fn wake(
        &mut self,
        well: impl Fn(Option<HostId>) -> bool,
    ) -> Option<(DestinationId, Sleeper)> {
        for _ in 0..self.turns.len().min(LOOKS) {
            let host = self.turns.pop_front()?;
            if !well(host) {
                self.turns.push_back(host);
                continue;
            }
            let woken = self.lines.get_mut(&host).and_then(|lines| {
                lines
                    .iter_mut()
                    .find_map(|line| next(line, &mut self.sleepers))
            });
            match woken {
                Some(woken) => {
                    self.turns.push_back(host);
                    return Some(woken);
                }
                None => {
                    self.lines.remove(&host);
                }
            }
        }
        None
    }
}

fn next(
    line: &mut VecDeque<DestinationId>,
    sleepers: &mut BTreeMap<DestinationId, Sleeper>,
) -> Option<(DestinationId, Sleeper)> {
    while let Some(id) = line.pop_front() {
        if let Some(sleeper) = sleepers.remove(&id) {
            return Some((id, sleeper));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake_all(dormant: &mut Dormant) -> Vec<u64> {
        std::iter::from_fn(|| dormant.wake(|_| true))
            .map(|(id, _)| id.0)
            .collect()
    }

    #[test]
    fn lanes_are_woken_in_the_order_in_which_they_fell_asleep_high_ones_first() {
        let mut dormant = Dormant::default();
        assert!(dormant.park(DestinationId(1), None, Severity::Low, 1));
        assert!(dormant.park(DestinationId(2), None, Severity::Low, 1));
        assert!(dormant.park(DestinationId(3), None, Severity::Normal, 1));
        assert!(!dormant.park(DestinationId(3), None, Severity::High, 1));
        assert_eq!(wake_all(&mut dormant), [3, 1, 2]);
        assert_eq!(dormant.len(), 0);
        assert!(dormant.lines.is_empty() && dormant.turns.is_empty());
    }

    #[test]
    fn what_is_parked_is_counted_by_severity() {
        let mut dormant = Dormant::default();
        dormant.park(DestinationId(1), None, Severity::Low, 2);
        dormant.park(DestinationId(1), None, Severity::High, 1);
        dormant.park(DestinationId(1), None, Severity::Low, 1);
        let (_, sleeper) = dormant.wake(|_| true).unwrap();
        assert_eq!(sleeper.counts, [3, 0, 1]);
    }

    #[test]
    fn the_lanes_of_a_host_that_is_not_well_sleep_on() {
        let mut dormant = Dormant::default();
        dormant.park(DestinationId(1), None, Severity::High, 1);
        assert!(dormant.wake(|_| false).is_none());
        assert!(dormant.contains(DestinationId(1)));
    }

    #[test]
    fn a_million_sleeping_lanes_fit_in_a_hundred_megabytes() {
        // A node of the map has room for 11 entries and holds 5 of them at least; what
        // it needs besides is less than two entries.
        let entry = size_of::<DestinationId>() + size_of::<Sleeper>();
        let bytes = entry * 13 / 5 + 2 * size_of::<DestinationId>();
        assert!(bytes <= 100, "{bytes} bytes a lane");
    }
}
