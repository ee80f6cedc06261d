//! What is measured. A new scenario is a file and a line here.

mod accept;
mod fan_out;
mod footprint;
mod growth;
mod instructions;
mod isolation;
mod latency;
mod pace;
mod slow;
mod storm;
mod whole_path;

use crate::{report::Report, subject::Run};

/// Something that is measured.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it says, in a line.
    pub(crate) what: &'static str,
    /// Measures the programs by turns and reports.
    pub(crate) measure: fn(&Run, &mut Report),
    /// Whether it is measured only where it is named: it takes minutes.
    pub(crate) is_on_request: bool,
}

/// All of them, in the order in which they are measured.
pub(crate) const ALL: [Scenario; 11] = [
    scenario(
        "footprint",
        "size, start, and doing nothing",
        footprint::measure,
    ),
    scenario("accept", "alerts answered 200 a second", accept::measure),
    scenario(
        "whole_path",
        "alerts posted, stored, sent and settled",
        whole_path::measure,
    ),
    scenario(
        "latency",
        "from when an alert should be posted to its message",
        latency::measure,
    ),
    scenario(
        "pace",
        "the default pace over 50,000 destinations",
        pace::measure,
    ),
    scenario(
        "slow",
        "2,000 destinations that take 100 ms to answer",
        slow::measure,
    ),
    scenario(
        "storm",
        "5,000 alerts to one channel at the default pace",
        storm::measure,
    ),
    scenario(
        "fan_out",
        "100,000 users, and an alert to all of them",
        fan_out::measure,
    ),
    scenario(
        "growth",
        "what users and a backlog add to the cost of an alert",
        growth::measure,
    ),
    scenario(
        "isolation",
        "what destinations in trouble do to others; 5 minutes",
        isolation::measure,
    )
    .on_request(),
    scenario(
        "instructions",
        "instructions an alert and a delivery, counted by valgrind; 5 minutes a program",
        instructions::measure,
    )
    .on_request(),
];

/// How often each is measured, by turns with the others.
const ROUNDS: usize = 5;

/// One that is measured where none is named.
const fn scenario(
    name: &'static str,
    what: &'static str,
    measure: fn(&Run, &mut Report),
) -> Scenario {
    Scenario {
        name,
        what,
        measure,
        is_on_request: false,
    }
}

impl Scenario {
    const fn on_request(self) -> Self {
        Self {
            is_on_request: true,
            ..self
        }
    }
}
