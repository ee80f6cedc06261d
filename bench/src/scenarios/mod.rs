//! What is measured. A new scenario is a file and a line here.

mod accept;
mod footprint;
mod latency;
mod whole_path;

use crate::{report::Report, subject::Programs};

/// Measures the programs by turns and reports.
type Scenario = fn(&Programs, &mut Report);

/// The name, what it says in a line, and the scenario.
pub(crate) const ALL: [(&str, &str, Scenario); 4] = [
    (
        "footprint",
        "size, start, and doing nothing",
        footprint::measure,
    ),
    ("accept", "alerts answered 200 a second", accept::measure),
    (
        "whole_path",
        "alerts posted, stored, sent and settled",
        whole_path::measure,
    ),
    (
        "latency",
        "from when an alert should be posted to its message",
        latency::measure,
    ),
];

/// How often each is measured, by turns with the others.
const ROUNDS: usize = 5;
