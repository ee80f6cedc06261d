//! What a lane has set aside on disk because memory is bounded, and the fetching
//! of it.
//!
//! A lane that has parked deliveries of a severity parks the newly received ones
//! too, so those in memory always come before those on disk. A parked delivery
//! stays parked on disk when it has been fetched, until it is settled otherwise;
//! so the shelf remembers up to where it has fetched.

use std::collections::VecDeque;

use common::{DestinationId, Severity};

use crate::domain::Position;

/// Fetches under way at once, over all lanes.
const FETCHES: usize = 64;

/// A lane's shelves, one a severity, each made when it is needed: tens of thousands
/// of lanes have one, and hardly any has three.
#[derive(Debug, Default)]
pub(super) struct Parking {
    shelves: [Option<Box<Shelf>>; 3],
}

/// The parked deliveries of one lane and severity.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Parked and not fetched, as far as is known.
    pub(super) count: u64,
    /// Fetching began anew below here: what a fetch brings may be held already.
    again_until: Option<Position>,
    /// The fetch that is queued or under way passes over some: what it brings stays
    /// where it is.
    is_for_nothing: bool,
    /// What ended, or was folded, while that fetch is on its way and may bring it.
    gone: Vec<Position>,
    /// Of these, parked after the fetch that is queued or under way.
    late: u64,
    /// The last one fetched.
    pub(super) cursor: Option<Position>,
    pub(super) fetch: Fetch,
    /// One of them is not of a tail, and hurries along those before it.
    pub(super) hurries: bool,
}

/// Whether a fetch is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fetch {
    /// No.
    #[default]
    None,
    /// It waits for its turn.
    Queued,
    /// The queue has been asked for so many.
    Asked(usize),
}

impl Parking {
    /// How many of that severity are on disk alone.
    pub(super) fn count_of(&self, severity: Severity) -> u64 {
        self.shelf(severity).map_or(0, |shelf| shelf.count)
    }

    /// Whether one of that severity on disk is in a hurry.
    pub(super) fn hurries(&self, severity: Severity) -> bool {
        self.shelf(severity).is_some_and(|shelf| shelf.hurries)
    }

    pub(super) fn shelf(&self, severity: Severity) -> Option<&Shelf> {
        self.shelves[usize::from(severity.code())].as_deref()
    }

    pub(super) fn shelf_mut(&mut self, severity: Severity) -> &mut Shelf {
        self.shelves[usize::from(severity.code())].get_or_insert_default()
    }

    /// A delivery of this lane and severity is no longer held.
    pub(super) fn let_go(&mut self, severity: Severity, position: Position) {
        if let Some(shelf) = &mut self.shelves[usize::from(severity.code())] {
            shelf.let_go(position);
        }
    }

    /// Notes that a fetch is queued, where something is to be fetched and none is on its
    /// way; answers how soon it is to have its turn, where it did.
    pub(super) fn queue_fetch(&mut self, severity: Severity) -> Option<Haste> {
        let shelf = self.shelves[usize::from(severity.code())].as_mut();
        let waits = |shelf: &&mut Box<Shelf>| shelf.count > 0 && shelf.fetch == Fetch::None;
        let shelf = shelf.filter(waits)?;
        shelf.queue_fetch();
        Some(match severity {
            Severity::High => Haste::High,
            _ if shelf.hurries => Haste::Hurried,
            _ => Haste::None,
        })
    }

    /// Whether anything is parked or on its way from there.
    pub(super) fn is_needed(&self) -> bool {
        self.shelves().any(|shelf| shelf.count > 0) || self.is_fetching()
    }

    /// How many are on disk alone.
    pub(super) fn count(&self) -> u64 {
        self.shelves().map(|shelf| shelf.count).sum()
    }

    /// Whether a fetch is on its way.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetching() > 0
    }

    /// Whether more than one fetch is on its way.
    pub(super) fn is_fetching_another(&self) -> bool {
        self.fetching() > 1
    }

    fn fetching(&self) -> usize {
        let fetching = self.shelves().filter(|shelf| shelf.fetch != Fetch::None);
        fetching.count()
    }

    fn shelves(&self) -> impl Iterator<Item = &Shelf> {
        self.shelves.iter().flatten().map(Box::as_ref)
    }
}

impl Shelf {
    /// A fetch has brought something that cannot be held: it stays where it is.
    pub(super) fn put_back(&mut self) {
        self.fetch = Fetch::None;
        self.is_for_nothing = false;
        self.gone.clear();
    }

    /// Whether what the fetch under way brings is to be put back.
    pub(super) fn is_for_nothing(&self) -> bool {
        self.is_for_nothing
    }

    /// Counts one more.
    pub(super) fn park(&mut self) {
        self.park_again(1);
    }

    /// Counts so many more.
    fn park_again(&mut self, count: u64) {
        self.count += count;
        if self.fetch != Fetch::None {
            self.late += count;
        }
    }

    /// So many that were in memory are parked again, before others that are on disk or on
    /// their way: fetching begins anew, and brings what is held already once more.
    pub(super) fn begin_anew(&mut self, count: u64) {
        self.park_again(count);
        self.again_until = self.again_until.max(self.cursor);
        self.cursor = None;
        self.is_for_nothing = self.fetch != Fetch::None;
    }

    /// A fetch has been queued.
    fn queue_fetch(&mut self) {
        self.fetch = Fetch::Queued;
        self.late = 0;
    }

    fn let_go(&mut self, position: Position) {
        if self.fetch != Fetch::None && self.again_until.is_some() {
            self.gone.push(position);
        }
    }

    /// Whether a delivery that a fetch brought is gone since.
    pub(super) fn is_gone(&self, position: Position) -> bool {
        self.gone.contains(&position)
    }

    /// A fetch has brought that many, the last at `last`, of which so many were not
    /// held already; answers how many fewer are on disk alone now. Where it brought
    /// none the count was too high (they were settled elsewhere), except for those
    /// parked since.
    pub(super) fn fetched(&mut self, brought: usize, new: u64, last: Option<Position>) -> u64 {
        self.fetch = Fetch::None;
        self.cursor = last.or(self.cursor);
        let left = match brought {
            0 => self.late,
            _ => self.count.saturating_sub(new),
        };
        self.gone.clear();
        if self.cursor >= self.again_until {
            self.again_until = None;
        }
        let fewer = self.count.saturating_sub(left);
        self.count = left;
        self.hurries &= left > 0;
        fewer
    }
}

/// A fetch that waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) destination: DestinationId,
    pub(super) severity: Severity,
    /// So many settlements were decided before it. They must be on disk first,
    /// or it could miss what they park, or bring what they have ended.
    after_settlement: u64,
}

/// How soon a fetch has its turn: before all that are less so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Haste {
    /// It brings a high one.
    High,
    /// It brings one that is in a hurry, or that stands in the way of one.
    Hurried,
    /// Whenever there is time.
    None,
}

/// The fetches of all lanes.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    /// Those that wait for their turn, by [`Haste`].
    queues: [VecDeque<Request>; 3],
    under_way: usize,
    /// Deliveries asked for that have not come yet.
    expected: usize,
}

impl Fetches {
    /// Queues a fetch behind the settlements decided so far.
    pub(super) fn queue(
        &mut self,
        destination: DestinationId,
        severity: Severity,
        haste: Haste,
        decided: u64,
    ) {
        self.queues[haste as usize].push_back(Request {
            destination,
            severity,
            after_settlement: decided,
        });
    }

    /// The next fetch, if it may go now that so many settlements are recorded.
    pub(super) fn next(&mut self, recorded: u64) -> Option<Request> {
        if self.under_way >= FETCHES {
            return None;
        }
        self.queues
            .iter_mut()
            .find_map(|queue| queue.pop_front_if(|request| request.after_settlement <= recorded))
    }

    /// So many have been asked for.
    pub(super) fn ask(&mut self, room: usize) {
        self.under_way += 1;
        self.expected += room;
    }

    /// The answer to having asked for so many has come.
    pub(super) fn answered(&mut self, room: usize) {
        self.under_way = self.under_way.saturating_sub(1);
        self.expected = self.expected.saturating_sub(room);
    }

    /// Whether some have been asked for and have not come.
    pub(super) fn are_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Fetches queued or under way.
    pub(super) fn pending(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum::<usize>() + self.under_way
    }

    /// Whether more would only queue up.
    pub(super) fn are_many(&self) -> bool {
        self.pending() >= 2 * FETCHES
    }

    /// Whether more of those in a hurry would only queue up.
    pub(super) fn are_many_in_a_hurry(&self) -> bool {
        self.queues[Haste::Hurried as usize].len() >= 2 * FETCHES
    }

    /// Deliveries asked for that have not come yet.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(count: u64) -> Shelf {
        Shelf {
            count,
            ..Shelf::default()
        }
    }

    #[test]
    fn what_a_fetch_brings_is_no_longer_counted_as_parked() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        let last = Position {
            sequence: 7,
            ordinal: 0,
        };
        assert_eq!(shelf.fetched(4, 4, Some(last)), 4);
        assert_eq!((shelf.count, shelf.cursor), (6, Some(last)));
    }

    #[test]
    fn an_empty_fetch_shows_that_the_count_was_wrong() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        assert_eq!(shelf.fetched(0, 0, None), 10);
        assert_eq!(shelf.count, 0);
    }

    #[test]
    fn what_was_parked_after_the_fetch_was_queued_stays_counted_when_it_brings_none() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        shelf.park();
        shelf.park();
        assert_eq!(shelf.fetched(0, 0, None), 10);
        assert_eq!(shelf.count, 2);
    }

    #[test]
    fn what_is_held_already_is_not_counted_a_second_time() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        let last = Position {
            sequence: 7,
            ordinal: 0,
        };
        assert_eq!(shelf.fetched(4, 1, Some(last)), 1);
        assert_eq!(shelf.count, 9);
    }

    #[test]
    fn fetching_begins_anew_though_a_fetch_is_under_way_which_is_for_nothing_then() {
        let mut shelf = parked(1);
        shelf.cursor = Some(Position {
            sequence: 7,
            ordinal: 0,
        });
        shelf.queue_fetch();
        shelf.begin_anew(5);
        assert!(shelf.is_for_nothing());
        shelf.put_back();
        assert_eq!(
            (shelf.count, shelf.cursor, shelf.fetch),
            (6, None, Fetch::None)
        );
        assert!(!shelf.is_for_nothing());
    }

    #[test]
    fn what_is_brought_once_more_may_have_ended_meanwhile() {
        let last = Position {
            sequence: 7,
            ordinal: 0,
        };
        let mut shelf = parked(1);
        shelf.cursor = Some(last);
        shelf.begin_anew(5);
        shelf.queue_fetch();
        shelf.let_go(last);
        assert!(shelf.is_gone(last));
    }

    #[test]
    fn a_fetch_waits_until_the_settlements_before_it_are_recorded() {
        let mut fetches = Fetches::default();
        fetches.queue(DestinationId(1), Severity::Low, Haste::None, 5);
        assert!(fetches.next(4).is_none());
        assert!(fetches.next(5).is_some());
    }

    #[test]
    fn high_ones_are_fetched_first_and_then_those_in_a_hurry() {
        let mut fetches = Fetches::default();
        fetches.queue(DestinationId(1), Severity::Normal, Haste::None, 0);
        fetches.queue(DestinationId(2), Severity::Normal, Haste::Hurried, 0);
        fetches.queue(DestinationId(3), Severity::High, Haste::High, 0);
        let order: Vec<_> = std::iter::from_fn(|| fetches.next(0))
            .map(|request| request.destination.0)
            .collect();
        assert_eq!(order, [3, 2, 1]);
    }
}
