//! The way out to one kind of external service.

use async_trait::async_trait;
use common::{ChannelKind, Credential, DeliveryId, Destination, Gtid};

use crate::domain::Answer;

/// An external service that takes messages, such as Slack.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The kind of destination it serves.
    fn kind(&self) -> ChannelKind;

    /// How fast one destination may be sent to.
    fn pace(&self) -> Pace;

    /// How long one message may be.
    fn text_limit(&self) -> TextLimit;

    /// `text` as the messages it takes to carry it: one as it is where it fits,
    /// else several in order, each marked `(1/3)`; escaped for the service, and
    /// never cut within a character. Never empty; the same for the same text.
    fn parts(&self, text: &str) -> Vec<String>;

    /// Sends one message and waits for the end of the request, which is bounded
    /// in time and size. Never fails: whatever happens is an [`Answer`].
    ///
    /// Sending twice delivers twice.
    async fn send(&self, message: Message<'_>) -> Answer;
}

/// One request to an external service.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where to.
    pub destination: &'a Destination,
    /// With what.
    pub credential: &'a Credential,
    /// One of [`Channel::parts`].
    pub text: &'a str,
    /// The delivery it belongs to.
    pub delivery: DeliveryId,
    /// The request that caused it.
    pub gtid: &'a Gtid,
}

/// A token bucket: so many messages at once, then so many a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Messages a second in the long run, above zero; `None` for no limit.
    pub per_second: Option<f64>,
    /// Messages that an idle destination takes at once, at least 1.
    pub burst: u32,
}

/// How long one message may be, in whatever its channel counts.
#[derive(Clone, Copy, Debug)]
pub struct TextLimit {
    /// A text of at most this width is one message: [`Channel::parts`] does not cut it.
    pub most: usize,
    /// How wide a text is once escaped. The width of two texts joined is the sum of
    /// their widths.
    pub width: fn(&str) -> usize,
}
