//! The body of `POST /v1/alerts`, and targets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use producer::domain::{Directory, OpsTarget, resolve};

fuzz_target!(|body: &[u8]| {
    http_api::fuzzing::alert_request(body);
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let targets: Vec<Box<str>> = text.lines().map(Into::into).collect();
    let found = resolve(&Directory::default(), &targets);
    assert_eq!((found.user_count, found.deliveries.len()), (0, 0));
    assert!(found.unknown.len() <= targets.len());
    let _ = OpsTarget::parse(text);
});
