//! The HTTP contract, called as a client would, over fakes of the producer's ports.

// Clippy knows the tests for what they are, but not what they share.
#![allow(clippy::unwrap_used)]

mod access;
mod answers;
mod bad_input;
mod contract;
mod destinations;
mod directory;
mod documents;
mod history;
mod lists;
mod operation;
mod rates;
mod request_log;
mod secrets;
mod sockets;
mod support;
mod tls;
