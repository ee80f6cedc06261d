//! What comes: alerts, storms of them, and people who cancel.

use std::sync::Arc;

use common::{Alert, AlertId, Recipients, Severity};
use consumer::domain::{Lease, Outcome, Position, Progress};
use rand::RngExt;

use crate::{
    service::{Character, Content},
    world::{HOUSED_LANES, Happening, LANES, QUIET_LANES, TENANT_LANES, World},
};

/// With so many that have not ended the store is full, and nothing is accepted.
const STORE: usize = 200_000;

impl World {
    /// Somebody cancels something that is on its way, or a few of them.
    pub(crate) fn cancel(&mut self) {
        if self.queue.unfinished() == 0 && self.left_to_accept == 0 {
            return;
        }
        let from = self.first_to_cancel();
        let (most, longest) = match self.left_to_accept {
            0 => (2, 10_000_000_000),
            _ => (20, 10_000_000),
        };
        for sequence in from..from + self.rng.random_range(1..most) {
            if let Some(sequence) = self.queue.unfinished_from(sequence) {
                let forgets = self.queue.cancel(sequence);
                if let Some((lane, is_known)) = forgets {
                    let is_known = is_known && self.engine.is_some();
                    self.promises.forgets_what_was_asked(lane, is_known);
                }
            }
        }
        let pause = self.micros(0, longest);
        self.after(pause, Happening::Cancel);
    }

    /// Of a fold that is being written, so that it is not made; just accepted; or anything
    /// that is left.
    fn first_to_cancel(&mut self) -> u64 {
        let folded = self.writing.iter().find_map(|one| match &one.outcome {
            Outcome::Folded { members, .. } => members.first(),
            _ => None,
        });
        let folded = folded.map(|member| member.position.sequence);
        if let Some(sequence) = folded
            && self.rng.random_bool(0.5)
        {
            return sequence;
        }
        let next = self.queue.next_sequence();
        match self.rng.random_bool(0.5) {
            true => next.saturating_sub(self.rng.random_range(1..500)),
            false => self.rng.random_range(0..next.max(1)),
        }
    }

    /// An alert, or a storm of them to one destination.
    pub(crate) fn accept(&mut self) {
        let severity = match self.rng.random_range(0..10) {
            0 => Severity::High,
            1..=6 => Severity::Normal,
            _ => Severity::Low,
        };
        if self.rng.random_bool(0.005) {
            let lane = self.loud_lane();
            for _ in 0..self.rng.random_range(10..300) {
                self.accept_one(lane, severity);
            }
        } else {
            for _ in 0..self.rng.random_range(1..=5) {
                let lane = self.loud_lane();
                self.accept_one(lane, severity);
            }
        }
        // One quiet destination after the other, so each gets one in seconds.
        if self.rng.random_bool(0.05) {
            self.next_quiet = (self.next_quiet + 1) % QUIET_LANES;
            self.accept_one(self.next_quiet, severity);
        }
        if self.left_to_accept == 0 {
            return;
        }
        if self.queue.unfinished() > STORE {
            let pause = self.micros(0, 10_000_000);
            self.after(pause, Happening::Accept);
        } else {
            let pause = self.micros(0, 50_000);
            self.after(pause, Happening::Accept);
        }
    }

    /// A destination that is not quiet; less often one that is seldom or never well,
    /// or all that is left would be its backlog.
    fn loud_lane(&mut self) -> usize {
        loop {
            let lane = self.rng.random_range(QUIET_LANES..LANES);
            let place = &self.places[&self.destinations[lane].id];
            let share = match place.character {
                Character::Gone => 0.1,
                Character::Housed | Character::Tenant => 0.4,
                _ => 1.0,
            };
            if self.rng.random_bool(share) {
                return lane;
            }
        }
    }

    fn accept_one(&mut self, lane: usize, severity: Severity) {
        if self.left_to_accept == 0 {
            return;
        }
        self.left_to_accept -= 1;
        let content = match self.rng.random_range(0..1000) {
            _ if lane < QUIET_LANES => Content::Good(1),
            0..3 => Content::Bad,
            3..5 => Content::Impossible,
            5..55 => Content::Good(self.rng.random_range(2..5)),
            _ => Content::Good(1),
        };
        // A tenant's channel is used with another token now and then.
        let is_tenant =
            (QUIET_LANES + HOUSED_LANES..QUIET_LANES + HOUSED_LANES + TENANT_LANES).contains(&lane);
        let credential = if is_tenant && self.rng.random_bool(0.8) {
            &self.tenants
        } else {
            &self.credentials[lane]
        };
        let alert = Alert {
            id: AlertId(Default::default()),
            caller: None,
            gtid: self.gtid.clone(),
            severity,
            message: match self.rng.random_range(0..4) {
                0 => "node1 down".into(),
                _ => format!("m{}.", self.queue.next_sequence()).into(),
            },
            verbatim: false,
            targets: Box::default(),
            accepted_at: self.clocks().utc,
        };
        let lease = Lease {
            position: Position {
                sequence: self.queue.next_sequence(),
                ordinal: 0,
            },
            alert: Arc::new(alert),
            accepted_as: None,
            destination: Arc::clone(&self.destinations[lane]),
            credential: Arc::clone(credential),
            recipients: Recipients::new(),
            progress: Progress::default(),
            digest: None,
        };
        self.queue.accept(lease, content, self.now);
    }
}
