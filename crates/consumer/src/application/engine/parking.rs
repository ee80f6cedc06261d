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

/// A lane's shelves, one a severity.
#[derive(Debug, Default)]
pub(super) struct Parking {
    shelves: [Shelf; 3],
}

/// The parked deliveries of one lane and severity.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Parked and not fetched, as far as is known.
    pub(super) count: u64,
    /// Of these, parked after the fetch that is queued or under way.
    late: u64,
    /// The last one fetched.
    pub(super) cursor: Option<Position>,
    pub(super) fetch: Fetch,
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
    pub(super) fn shelf(&self, severity: Severity) -> &Shelf {
        &self.shelves[usize::from(severity.code())]
    }

    pub(super) fn shelf_mut(&mut self, severity: Severity) -> &mut Shelf {
        &mut self.shelves[usize::from(severity.code())]
    }

    /// Whether anything is parked or on its way from there.
    pub(super) fn is_needed(&self) -> bool {
        self.shelves
            .iter()
            .any(|shelf| shelf.count > 0 || shelf.fetch != Fetch::None)
    }
}

impl Shelf {
    /// Counts one more.
    pub(super) fn park(&mut self) {
        self.count += 1;
        if self.fetch != Fetch::None {
            self.late += 1;
        }
    }

    /// A fetch has been queued.
    pub(super) fn queue_fetch(&mut self) {
        self.fetch = Fetch::Queued;
        self.late = 0;
    }

    /// A fetch has brought that many, the last at `last`; answers how many fewer
    /// are on disk now. Where it brought none the count was too high (they were
    /// settled elsewhere), except for those parked since.
    pub(super) fn fetched(&mut self, brought: u64, last: Option<Position>) -> u64 {
        self.fetch = Fetch::None;
        self.cursor = last.or(self.cursor);
        let left = if brought == 0 {
            self.late
        } else {
            self.count.saturating_sub(brought)
        };
        let fewer = self.count.saturating_sub(left);
        self.count = left;
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

/// The fetches of all lanes.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    urgent: VecDeque<Request>,
    others: VecDeque<Request>,
    under_way: usize,
    /// Deliveries asked for that have not come yet.
    expected: usize,
}

impl Fetches {
    /// Queues a fetch behind the settlements decided so far; high ones first.
    pub(super) fn queue(&mut self, destination: DestinationId, severity: Severity, decided: u64) {
        let queue = if severity == Severity::High {
            &mut self.urgent
        } else {
            &mut self.others
        };
        queue.push_back(Request {
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
        [&mut self.urgent, &mut self.others]
            .into_iter()
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
        assert_eq!(shelf.fetched(4, Some(last)), 4);
        assert_eq!((shelf.count, shelf.cursor), (6, Some(last)));
    }

    #[test]
    fn an_empty_fetch_shows_that_the_count_was_wrong() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        assert_eq!(shelf.fetched(0, None), 10);
        assert_eq!(shelf.count, 0);
    }

    #[test]
    fn what_was_parked_after_the_fetch_was_queued_stays_counted_when_it_brings_none() {
        let mut shelf = parked(10);
        shelf.queue_fetch();
        shelf.park();
        shelf.park();
        assert_eq!(shelf.fetched(0, None), 10);
        assert_eq!(shelf.count, 2);
    }

    #[test]
    fn a_fetch_waits_until_the_settlements_before_it_are_recorded() {
        let mut fetches = Fetches::default();
        fetches.queue(DestinationId(1), Severity::Low, 5);
        assert!(fetches.next(4).is_none());
        assert!(fetches.next(5).is_some());
    }

    #[test]
    fn high_ones_are_fetched_first() {
        let mut fetches = Fetches::default();
        fetches.queue(DestinationId(1), Severity::Low, 0);
        fetches.queue(DestinationId(2), Severity::High, 0);
        let order: Vec<_> = std::iter::from_fn(|| fetches.next(0))
            .map(|request| request.destination.0)
            .collect();
        assert_eq!(order, [2, 1]);
    }
}
