//! What the consumer needs from the outside.

mod channel;
mod credentials;
mod queue;

pub use channel::{Channel, Message, Pace, Part, Text, TextLimit};
pub use credentials::Credentials;
pub use queue::{DeliveryQueue, ParkedLane, QueueError, Received};
