//! Where lists go on.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| http_api::fuzzing::cursor(text));
