//! The engine, told what happens by hand. What it promises, sentence by sentence.

mod age;
mod breakers;
mod cancel;
mod changes;
mod digests;
mod faults;
mod memory;
mod order;
mod pace;
mod status;
mod warnings;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use common::{
    Alert, ChannelKind, Credential, CredentialId, Destination, DestinationId, Now, Secret,
    Severity, UtcMillis,
};

use super::{held::Held, lane::Lane, *};
use crate::{
    application::fixtures::{self, START},
    domain::{
        Answer, Fault, Lease, LeaseKey, Outcome, Position, Progress, Refusal, Settlement, Unfolded,
        Wait,
    },
    ports::{Pace, ParkedLane, TextLimit},
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn unlimited() -> EngineSettings {
    paced(None)
}

fn paced(per_second: Option<f64>) -> EngineSettings {
    EngineSettings {
        channels: vec![ChannelTraits {
            kind: ChannelKind::SLACK,
            pace: Pace {
                per_second,
                burst: 4,
            },
            limit: TextLimit {
                most: 100,
                width: |text| text.chars().count(),
            },
            digest_after: None,
        }],
        ..EngineSettings::default()
    }
}

fn destination(name: &str) -> DestinationId {
    Destination::new(ChannelKind::SLACK, "", name).id
}

fn lease(sequence: u64, severity: Severity, to: &str) -> Lease {
    let destination = Destination::new(ChannelKind::SLACK, "", to);
    fixtures::lease(sequence, severity, "node1 down", destination)
}

/// A lease to a host of its own.
fn lease_at(sequence: u64, severity: Severity, host: &str, to: &str) -> Lease {
    let mut lease = lease(sequence, severity, to);
    let host = format!("https://{host}");
    lease.destination = Arc::new(Destination::new(ChannelKind::SLACK, &host, to));
    lease
}

fn with_credential(mut lease: Lease, id: i64) -> Lease {
    lease.credential = Arc::new(Credential {
        id: CredentialId(id),
        secret: Secret::new("token"),
    });
    lease
}

fn high(sequence: u64, to: &str) -> Lease {
    lease(sequence, Severity::High, to)
}

fn normal(sequence: u64, to: &str) -> Lease {
    lease(sequence, Severity::Normal, to)
}

fn low(sequence: u64, to: &str) -> Lease {
    lease(sequence, Severity::Low, to)
}

/// A lease as an earlier run left it.
fn after_restart(mut lease: Lease, attempts: u32, wait: Option<Wait>) -> Lease {
    lease.progress = Progress {
        attempts,
        parts_sent: 0,
        wait,
        ..Progress::default()
    };
    lease
}

fn wait(until_second: i64, fault: Fault, asked: bool) -> Option<Wait> {
    Some(Wait {
        until: UtcMillis(START + until_second * 1000),
        fault,
        asked,
    })
}

fn accepted() -> Answer {
    Answer::Accepted {
        status: 200,
        provider_id: None,
    }
}

fn refused(fault: Fault) -> Refusal {
    Refusal {
        fault,
        lasting: false,
        retry_after: None,
        status: Some(500),
        reason: "broken".into(),
    }
}

fn fails(fault: Fault) -> Answer {
    Answer::Refused(refused(fault))
}

fn asks_for(span: Duration) -> Answer {
    Answer::Refused(Refusal {
        retry_after: Some(span),
        ..refused(Fault::Destination)
    })
}

/// An engine with its clock, and what it wanted done that the test has not looked
/// at yet. Settlements are recorded at once unless `disk_is_slow`.
struct Bench {
    engine: Engine,
    now: Now,
    sends: VecDeque<SendOrder>,
    settled: Vec<Settlement>,
    unparks: VecDeque<(DestinationId, Severity, Option<Position>, usize)>,
    changes: Vec<BreakerChange>,
    disk_is_slow: bool,
}

impl Bench {
    fn new(settings: EngineSettings) -> Self {
        let mut bench = Self::before_catching_up(settings);
        bench.tell(Event::CaughtUp);
        bench
    }

    fn before_catching_up(settings: EngineSettings) -> Self {
        Self {
            engine: Engine::new(settings, 7),
            now: Now {
                mono: seconds(1000),
                utc: UtcMillis(START),
            },
            sends: VecDeque::new(),
            settled: Vec::new(),
            unparks: VecDeque::new(),
            changes: Vec::new(),
            disk_is_slow: false,
        }
    }

    fn tell(&mut self, event: Event) {
        self.engine.handle(self.now, event);
        self.perform();
    }

    fn receive(&mut self, leases: impl IntoIterator<Item = Lease>) {
        self.tell(Event::Received(leases.into_iter().collect()));
    }

    fn perform(&mut self) {
        while let Some(action) = self.engine.next_action(self.now) {
            match action {
                Action::Send(order) => self.sends.push_back(order),
                Action::Settle { settlement, .. } => {
                    let attempts = usize::from(settlement.attempt.is_some());
                    self.settled.push(settlement);
                    if !self.disk_is_slow {
                        self.engine.handle(
                            self.now,
                            Event::Recorded {
                                settlements: 1,
                                attempts,
                            },
                        );
                    }
                }
                Action::Unpark {
                    destination,
                    severity,
                    after,
                    room,
                } => {
                    self.unparks.push_back((destination, severity, after, room));
                }
                Action::Report(change) => self.changes.push(change),
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono += span;
        self.now.utc = self.now.utc.plus(span);
        self.perform();
    }

    /// Passes to the next time the engine asked for; answers how long that was.
    fn pass_to_next_wake(&mut self) -> Duration {
        let wake = self
            .engine
            .next_wake()
            .expect("the engine waits for a time");
        let span = wake.saturating_sub(self.now.mono);
        self.pass(span);
        span
    }

    /// The sequence number of the one request that has begun.
    fn sent(&self) -> u64 {
        assert_eq!(self.sends.len(), 1, "one request is under way");
        self.sends[0].lease.position.sequence
    }

    /// Answers the request that began first; gives its sequence number.
    fn answer(&mut self, answer: Answer) -> u64 {
        self.answer_of_parts(answer, 1)
    }

    fn answer_of_parts(&mut self, answer: Answer, parts: u16) -> u64 {
        let order = self.sends.pop_front().expect("a request is under way");
        self.tell(Event::Answered(Answered {
            ticket: order.ticket,
            answer,
            parts,
            started_at: self.now.utc,
            took: Duration::ZERO,
        }));
        order.lease.position.sequence
    }

    /// Answers every request with success until none is left; gives the order.
    fn accept_all(&mut self) -> Vec<u64> {
        let mut order = Vec::new();
        while !self.sends.is_empty() {
            order.push(self.answer(accepted()));
        }
        order
    }

    /// Answers the request of that delivery.
    fn answer_to(&mut self, sequence: u64, answer: Answer) {
        let at = self
            .sends
            .iter()
            .position(|order| order.lease.position.sequence == sequence)
            .expect("its request is under way");
        let order = self.sends.remove(at).expect("it was found");
        self.sends.push_front(order);
        self.answer(answer);
    }

    /// The deliveries whose requests are under way, in the order in which they began.
    fn under_way(&self) -> Vec<u64> {
        let sends = self.sends.iter();
        sends.map(|send| send.lease.position.sequence).collect()
    }

    fn last_outcome(&self) -> &Outcome {
        &self.settled.last().expect("something was settled").outcome
    }

    fn parked(&self) -> Vec<u64> {
        self.settled
            .iter()
            .filter(|settlement| settlement.outcome == Outcome::Parked)
            .map(|settlement| settlement.lease.position.sequence)
            .collect()
    }
}
