//! What waits in memory in one severity's line.
//!
//! An alert to very many is handed over in slices, and what is accepted after it
//! need not wait for its last one: a later alert goes first, behind the deliveries
//! of the long one to the same destinations. So each destination still sees the
//! order of acceptance.

use std::{collections::VecDeque, sync::Arc};

use common::{AcceptedAlert, Alert, Delivery, DestinationId};
use consumer::domain::{Lease, Position, Progress};

/// The committed alerts of one severity, in the order of their sequences.
#[derive(Default)]
pub(super) struct Committed {
    short: VecDeque<Short>,
    /// Deliveries left in `short`.
    short_left: usize,
    long: VecDeque<Long>,
}

/// An alert, handed over up to `next`.
struct Short {
    sequence: u64,
    accepted: AcceptedAlert,
    next: usize,
}

/// An alert to very many, handed over up to `next`, with some of those behind it.
struct Long {
    sequence: u64,
    alert: Arc<Alert>,
    deliveries: Vec<Option<Delivery>>,
    next: usize,
    left: usize,
    /// Which ordinals go to a destination; sorted.
    by_destination: Vec<(DestinationId, u32)>,
}

impl Committed {
    /// Adds an alert after all others.
    pub(super) fn push(&mut self, sequence: u64, accepted: AcceptedAlert, is_long: bool) {
        if is_long {
            self.long.push_back(Long::new(sequence, accepted));
        } else {
            self.short_left += accepted.deliveries.len();
            self.short.push_back(Short {
                sequence,
                accepted,
                next: 0,
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    /// Deliveries held, of the alerts that are not long, and of the long ones.
    pub(super) fn held(&self) -> [usize; 2] {
        [
            self.short_left,
            self.long.iter().map(|long| long.left).sum(),
        ]
    }

    /// Drops what is left of an alert before one ordinal.
    pub(super) fn drop_before(&mut self, sequence: u64, ordinal: usize) {
        let short = self
            .short
            .binary_search_by_key(&sequence, |one| one.sequence);
        if let Ok(place) = short {
            let one = &mut self.short[place];
            let count = one.accepted.deliveries.len();
            let next = count.min(ordinal).max(one.next);
            self.short_left -= next - one.next;
            one.next = next;
            if next == count {
                self.short.remove(place);
            }
        }
        let long = self
            .long
            .binary_search_by_key(&sequence, |one| one.sequence);
        if let Ok(place) = long {
            let one = &mut self.long[place];
            for ordinal in one.next..one.deliveries.len().min(ordinal) {
                one.take_one(ordinal);
            }
            if one.left == 0 {
                self.long.remove(place);
            }
        }
    }

    /// Hands over more until there are `full`.
    pub(super) fn take(&mut self, full: usize, leases: &mut Vec<Lease>) {
        self.take_short(full, leases);
        while leases.len() < full
            && let Some(first) = self.long.front_mut()
        {
            first.take(full, leases);
            if first.left == 0 {
                self.long.pop_front();
            }
        }
    }

    fn take_short(&mut self, full: usize, leases: &mut Vec<Lease>) {
        while let Some(first) = self.short.front_mut() {
            while let Some(delivery) = first.accepted.deliveries.get(first.next) {
                for long in &mut self.long {
                    if long.sequence < first.sequence {
                        long.take_for(delivery.destination.id, full, leases);
                    }
                }
                if leases.len() >= full {
                    return;
                }
                let place = (first.sequence, first.next);
                leases.push(lease(place, &first.accepted.alert, delivery.clone()));
                first.next += 1;
                self.short_left -= 1;
            }
            self.short.pop_front();
        }
    }
}

impl Long {
    fn new(sequence: u64, accepted: AcceptedAlert) -> Self {
        let deliveries = accepted.deliveries.iter().zip(0..);
        let mut by_destination: Vec<_> = deliveries
            .map(|(delivery, ordinal)| (delivery.destination.id, ordinal))
            .collect();
        by_destination.sort_unstable();
        Self {
            sequence,
            alert: accepted.alert,
            left: accepted.deliveries.len(),
            deliveries: accepted.deliveries.into_iter().map(Some).collect(),
            next: 0,
            by_destination,
        }
    }

    /// Hands over what goes to `destination` and is left, until there are `full`.
    fn take_for(&mut self, destination: DestinationId, full: usize, leases: &mut Vec<Lease>) {
        let first = self
            .by_destination
            .partition_point(|(id, _)| *id < destination);
        for place in first..self.by_destination.len() {
            let (id, ordinal) = self.by_destination[place];
            if id != destination || leases.len() >= full {
                break;
            }
            leases.extend(self.take_one(ordinal as usize));
        }
    }

    /// Hands over what is left, in order, until there are `full`.
    fn take(&mut self, full: usize, leases: &mut Vec<Lease>) {
        while leases.len() < full && self.left > 0 {
            leases.extend(self.take_one(self.next));
            self.next += 1;
        }
    }

    fn take_one(&mut self, ordinal: usize) -> Option<Lease> {
        let delivery = self.deliveries[ordinal].take()?;
        self.left -= 1;
        Some(lease((self.sequence, ordinal), &self.alert, delivery))
    }
}

fn lease((sequence, ordinal): (u64, usize), alert: &Arc<Alert>, delivery: Delivery) -> Lease {
    Lease {
        position: Position {
            sequence,
            ordinal: ordinal as u32,
        },
        alert: Arc::clone(alert),
        accepted_as: None,
        destination: delivery.destination,
        credential: delivery.credential,
        recipients: delivery.recipients,
        progress: Progress::default(),
        digest: None,
    }
}
