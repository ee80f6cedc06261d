//! Heads of HTTP/1, however they arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| http_api::fuzzing::heads(input.1, input.0));
