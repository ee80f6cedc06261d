//! The messages received.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::hooks::Hook;
use crate::post::Message;
use crate::ring::{End, Kept};

/// A message that the mockup has accepted.
pub struct ReceivedMessage {
    seq: u64,
    ts_micros: u64,
    received_micros: u64,
    message: Message,
    end: OnceLock<End>,
}

impl ReceivedMessage {
    pub(crate) fn new(seq: u64, ts_micros: u64, received_micros: u64, message: Message) -> Self {
        Self {
            seq,
            ts_micros,
            received_micros,
            message,
            end: OnceLock::new(),
        }
    }

    /// The number of the message among all accepted since the start, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The channel that it was posted to.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.message.channel
    }

    /// Its text, empty where it had only blocks or attachments.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.message.text
    }

    /// When its request had been read, to the microsecond.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(self.received_micros)
    }

    pub(crate) fn token(&self) -> &str {
        &self.message.token
    }

    pub(crate) fn hook(&self) -> Option<&Hook> {
        self.message.hook.as_deref()
    }

    pub(crate) fn ts_micros(&self) -> u64 {
        self.ts_micros
    }

    pub(crate) fn received_micros(&self) -> u64 {
        self.received_micros
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }
}

impl Kept for ReceivedMessage {
    fn channel(&self) -> &str {
        &self.message.channel
    }

    fn ended(&self, how: fn(u64) -> End) {
        // A request ends once: whoever holds it ends it by value.
        self.end.get_or_init(|| how(clock::now_micros()));
    }

    fn bytes(&self) -> usize {
        let Message {
            channel,
            text,
            token,
            hook,
        } = &self.message;
        let hook = hook.as_ref().map_or(0, |hook| hook.bytes);
        channel.len() + text.len() + token.len() + hook
    }
}

/// Without the token.
impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReceivedMessage")
            .field("seq", &self.seq)
            .field("channel", &self.channel())
            .field("text", &self.text())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let message = Message {
            channel: "C1".to_owned(),
            text: "text".to_owned(),
            token: "xoxb-secret".to_owned(),
            hook: None,
        };
        let shown = format!("{:?}", ReceivedMessage::new(1, 1, 1, message));
        assert!(
            shown.contains("text") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
