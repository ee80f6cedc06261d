//! Readers of foreign input, for those who try to break them: `fuzz/`.

use common::Secret;
use consumer::domain::Answer;

use crate::{http::HttpAnswer, slack};

/// What Slack's answer means.
pub fn slack_answer(answer: &HttpAnswer, secret: &Secret) -> Answer {
    slack::classify::classify(answer, secret)
}

/// A text in the messages that carry it, escaped.
pub fn slack_parts(text: &str) -> Vec<String> {
    slack::text::parts(text)
}
