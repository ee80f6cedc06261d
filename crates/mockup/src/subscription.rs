//! Being told of messages as they arrive.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::messages::ReceivedMessage;

/// How far a subscriber may lag behind before it misses messages.
pub(crate) const CAPACITY: usize = 1024;

/// The messages accepted since this was made, in order.
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<ReceivedMessage>>,
}

/// What a [`Subscription`] tells next.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A message was accepted.
    Message(Arc<ReceivedMessage>),
    /// The subscriber was too slow, and missed this many messages.
    Missed(u64),
}

impl Subscription {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<ReceivedMessage>>) -> Self {
        Self { receiver }
    }

    /// Waits for the next message. `None` when the mockup is gone. May be
    /// cancelled without losing a message.
    pub async fn next(&mut self) -> Option<Arrival> {
        match self.receiver.recv().await {
            Ok(message) => Some(Arrival::Message(message)),
            Err(RecvError::Lagged(count)) => Some(Arrival::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}
