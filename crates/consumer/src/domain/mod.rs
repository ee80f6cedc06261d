//! What the consumer speaks of: leases, answers of external services, outcomes.

mod answer;
mod lease;
mod settlement;

pub use answer::{Answer, Fault, Refusal};
pub use lease::{Lease, LeaseKey, Position, Progress, Wait};
pub use settlement::{Attempt, AttemptResult, Outcome, Settlement};
