//! What stands beside a committed offset in Kafka.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| kafka::fuzzing::commit_metadata(text));
