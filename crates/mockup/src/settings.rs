//! What the mockup keeps.

/// How much a mockup remembers. Everything is counted, whatever is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most messages to keep, and as many refusals; the oldest go first. Default
    /// 10,000.
    pub keep_messages: usize,
    /// The most bytes of channels, texts and tokens to keep of each; the oldest go
    /// first. Default 64 MiB, so that memory is bounded for long texts too.
    pub keep_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_messages: 10_000,
            keep_bytes: 64 << 20,
        }
    }
}
