//! What the consumer speaks of: leases, answers of external services, outcomes.

mod answer;
mod digest;
mod lease;
mod settlement;

pub use answer::{Answer, Fault, Refusal};
pub use digest::{Digest, DigestId};
pub use lease::{Lease, LeaseKey, Position, Progress, Wait};
pub use settlement::{Attempt, AttemptResult, Outcome, Settlement, Unfolded};
