//! The posts that were refused.

use std::sync::OnceLock;

use crate::answer::Refusal;
use crate::clock;
use crate::ring::{End, Kept};

/// A post that was answered with an error.
pub(crate) struct RefusedPost {
    pub(crate) seq: u64,
    pub(crate) received_micros: u64,
    pub(crate) named: Named,
    pub(crate) refusal: Refusal,
    end: OnceLock<End>,
}

/// What a refused post said, as far as it could be read.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) channel: String,
    pub(crate) text: String,
}

impl RefusedPost {
    pub(crate) fn new(seq: u64, received_micros: u64, named: Named, refusal: Refusal) -> Self {
        Self {
            seq,
            received_micros,
            named,
            refusal,
            end: OnceLock::new(),
        }
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }
}

impl Kept for RefusedPost {
    fn channel(&self) -> &str {
        &self.named.channel
    }

    fn bytes(&self) -> usize {
        self.named.channel.len() + self.named.text.len() + self.refusal.error.len()
    }

    fn ended(&self, how: fn(u64) -> End) {
        self.end.get_or_init(|| how(clock::now_micros()));
    }
}
