//! A small HTTP client of a running server, for the commands.
//!
//! It knows the API from outside only, as any other client would: it shares no
//! code with the servers, but for what an API token looks like.

pub(crate) mod directory;
pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod history;
pub(crate) mod http;
mod token;
