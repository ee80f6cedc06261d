//! The messages received, the newest of them kept.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::hooks::Hook;
use crate::post::Message;
use crate::settings::Settings;

/// A message that the mockup has accepted.
pub struct ReceivedMessage {
    seq: u64,
    ts_micros: u64,
    received_micros: u64,
    message: Message,
    end: OnceLock<End>,
}

/// How the request that brought a message ended, and when (microseconds since
/// 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer was handed to the connection.
    Sent(u64),
    /// The connection was closed unanswered, on purpose.
    Lost(u64),
    /// The client went away, or the mockup stopped, before the answer.
    ClientGone(u64),
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

    pub(crate) fn ended(&self, how: fn(u64) -> End) {
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

/// The newest messages, bounded in number and in bytes.
pub(crate) struct Ring {
    messages: VecDeque<Arc<ReceivedMessage>>,
    bytes: usize,
    settings: Settings,
}

impl Ring {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            settings,
        }
    }

    pub(crate) fn push(&mut self, message: Arc<ReceivedMessage>) {
        self.bytes += message.bytes();
        self.messages.push_back(message);
        while self.messages.len() > self.settings.keep_messages
            || self.bytes > self.settings.keep_bytes
        {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }

    /// The newest `limit` messages, of one channel if it is given, oldest first.
    pub(crate) fn newest(&self, channel: Option<&str>, limit: usize) -> Vec<Arc<ReceivedMessage>> {
        let mut newest: Vec<_> = self
            .messages
            .iter()
            .rev()
            .filter(|message| channel.is_none_or(|channel| message.channel() == channel))
            .take(limit)
            .cloned()
            .collect();
        newest.reverse();
        newest
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keep_messages: usize, keep_bytes: usize) -> Ring {
        Ring::new(Settings {
            keep_messages,
            keep_bytes,
        })
    }

    fn message(seq: u64, text: &str) -> Arc<ReceivedMessage> {
        let message = Message {
            channel: "C1".to_owned(),
            text: text.to_owned(),
            token: "xoxb-secret".to_owned(),
            hook: None,
        };
        Arc::new(ReceivedMessage::new(seq, seq, seq, message))
    }

    fn kept(ring: &Ring) -> Vec<u64> {
        let newest = ring.newest(None, usize::MAX);
        newest.iter().map(|message| message.seq()).collect()
    }

    #[test]
    fn the_oldest_message_goes_when_there_are_too_many() {
        let mut ring = ring(2, usize::MAX);
        for seq in 1..=3 {
            ring.push(message(seq, "text"));
        }
        assert_eq!(kept(&ring), [2, 3]);
    }

    #[test]
    fn the_oldest_messages_go_when_there_are_too_many_bytes() {
        let mut ring = ring(usize::MAX, 100);
        ring.push(message(1, "short"));
        ring.push(message(2, "short"));
        ring.push(message(3, &"x".repeat(70)));
        assert_eq!(kept(&ring), [3]);
    }

    #[test]
    fn a_ring_told_to_keep_nothing_keeps_nothing() {
        let mut ring = ring(0, 0);
        ring.push(message(1, "text"));
        assert_eq!(kept(&ring), [0_u64; 0]);
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let shown = format!("{:?}", message(1, "text"));
        assert!(
            shown.contains("text") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
