//! Which alerts wait, and who is told by each.

use std::ops::Range;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tests::harness::{Alert, Directory};

/// Deliveries of each destination: so many by alerts to it alone, by alerts to its
/// group, and by alerts to everybody.
const ALONE: usize = 8;
const BY_GROUP: usize = 6;
const BY_ALL: usize = 6;
/// Of each destination.
pub(crate) const DELIVERIES: usize = ALONE + BY_GROUP + BY_ALL;
/// Members of a group.
const MEMBERS: usize = 10;
/// One alert in so many is high, and one in so many low.
const HIGH_IN: u32 = 100;
const LOW_IN: u32 = 10;

/// Alerts in the order in which they are to be posted.
pub(crate) struct Plan {
    destinations: usize,
    alerts: Vec<Whom>,
}

#[derive(Clone, Copy)]
enum Whom {
    One(usize),
    Group(usize),
    Everybody,
}

impl Plan {
    /// A plan of that many deliveries, or a few more.
    pub(crate) fn of(deliveries: usize) -> Self {
        let groups = deliveries.div_ceil(DELIVERIES * MEMBERS).max(1);
        let destinations = groups * MEMBERS;
        let alone = (0..destinations).flat_map(|one| [Whom::One(one); ALONE]);
        let by_group = (0..groups).flat_map(|group| [Whom::Group(group); BY_GROUP]);
        let mut alerts: Vec<_> = alone
            .chain(by_group)
            .chain([Whom::Everybody; BY_ALL])
            .collect();
        alerts.shuffle(&mut StdRng::seed_from_u64(7));
        Self {
            destinations,
            alerts,
        }
    }

    pub(crate) fn destinations(&self) -> usize {
        self.destinations
    }

    pub(crate) fn deliveries(&self) -> usize {
        self.destinations * DELIVERIES
    }

    pub(crate) fn alerts(&self) -> usize {
        self.alerts.len()
    }

    /// Everybody, each with a channel of their own, and in a group.
    pub(crate) fn directory(&self) -> Directory {
        let mut directory = Directory::of_users(self.destinations);
        for group in 0..self.destinations / MEMBERS {
            directory.add_group(members(group).collect());
        }
        directory
    }

    /// The alert of that number, from 0; `None` for one too many.
    pub(crate) fn alert(&self, number: usize) -> Option<Alert> {
        let target = match self.alerts.get(number)? {
            Whom::One(destination) => format!("@user{}", destination + 1),
            Whom::Group(group) => format!("@@group{}", group + 1),
            Whom::Everybody => "@all".into(),
        };
        let mut rng = StdRng::seed_from_u64(number as u64);
        let severity = if rng.random_ratio(1, HIGH_IN) {
            "high"
        } else if rng.random_ratio(1, LOW_IN) {
            "low"
        } else {
            "normal"
        };
        Some(Alert {
            targets: vec![target],
            severity,
            message: text(number),
        })
    }

    /// The texts that each destination must see, by its place in the directory.
    pub(crate) fn texts(&self) -> Vec<Vec<String>> {
        let mut texts = vec![Vec::with_capacity(DELIVERIES); self.destinations];
        for (number, whom) in self.alerts.iter().enumerate() {
            let told = match *whom {
                Whom::One(destination) => destination..destination + 1,
                Whom::Group(group) => members(group),
                Whom::Everybody => 0..self.destinations,
            };
            for destination in &mut texts[told] {
                destination.push(text(number));
            }
        }
        texts
    }
}

fn members(group: usize) -> Range<usize> {
    group * MEMBERS..(group + 1) * MEMBERS
}

/// None is a part of another.
fn text(number: usize) -> String {
    format!("disk {number:07} of node{:03} is full", number % 997)
}
