//! The way out to one kind of external service.

use async_trait::async_trait;
use common::{Alert, ChannelKind, Credential, DeliveryId, Destination};

use crate::domain::{Answer, Digest};

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
    fn parts(&self, text: Text<'_>) -> Vec<String>;

    /// Sends one message and waits for the end of the request, which is bounded
    /// in time and size. Never fails: whatever happens is an [`Answer`].
    ///
    /// Sending twice delivers twice.
    async fn send(&self, message: Message<'_>) -> Answer;
}

/// What the reader of a delivery is to see.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Plain, or as its producer wrote it for the service.
    pub text: &'a str,
    /// Whether it is sent as it is: its producer put it into the queue itself, in the
    /// service's own notation ([`Alert::verbatim`]).
    pub verbatim: bool,
}

impl<'a> Text<'a> {
    /// A text that is plain.
    pub fn plain(text: &'a str) -> Self {
        Self {
            text,
            verbatim: false,
        }
    }
}

/// One request to an external service.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where to.
    pub destination: &'a Destination,
    /// With what.
    pub credential: &'a Credential,
    /// The alert it tells; of a digest its lead's.
    pub alert: &'a Alert,
    /// The digest, where it tells many alerts at once.
    pub digest: Option<&'a Digest>,
    /// The delivery it belongs to, or the digest: the same in every attempt.
    pub delivery: DeliveryId,
    /// One of [`Channel::parts`].
    pub text: &'a str,
    /// Which one.
    pub part: Part,
}

/// Which of the messages that carry one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u16,
    /// How many there are, at least 1.
    pub of: u16,
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
