//! Slack's answers, and texts for it. No answer carries our token on.
#![no_main]

use bytes::Bytes;
use channels::{fuzzing, http::HttpAnswer, slack::PART_LIMIT};
use common::Secret;
use hyper::{HeaderMap, StatusCode, header};
use libfuzzer_sys::fuzz_target;

const TOKEN: &str = "xoxb-1";

fuzz_target!(|input: (u16, &[u8], &[u8])| {
    let (status, retry_after, body) = input;
    let mut headers = HeaderMap::new();
    if let Ok(value) = header::HeaderValue::from_bytes(retry_after) {
        headers.insert(header::RETRY_AFTER, value);
    }
    let answer = HttpAnswer {
        status: StatusCode::from_u16(status % 500 + 100).unwrap_or(StatusCode::OK),
        headers,
        body: Ok(Bytes::copy_from_slice(body)),
    };
    let meaning = fuzzing::slack_answer(&answer, &Secret::new(TOKEN));
    assert!(!format!("{meaning:?}").contains(TOKEN));
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    for part in fuzzing::slack_parts(text) {
        assert!(part.chars().count() <= PART_LIMIT);
        assert!(!part.contains(['<', '>']), "{part:?}");
    }
});
