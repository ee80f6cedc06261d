//! The HTTP contract over the producer's use cases.
//!
//! [`router()`] makes the routes, [`serve`] runs them over hyper with time-outs
//! and a cap on connections. Every JSON answer stands in one envelope
//! (`envelope.rs`), one table says what each operation needs
//! (`access/rules.rs`), and one file says which error is which status (`errors.rs`).

mod access;
mod alerts;
mod audit;
mod client;
mod connection;
mod destinations;
mod directory;
mod envelope;
mod errors;
mod extract;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod groups;
mod gtid;
mod headers;
mod health;
mod history;
mod metrics;
mod openapi;
mod paging;
mod passage;
mod rate;
mod redact;
mod request_log;
mod router;
mod secrets;
mod server;
mod standby;
mod tls;
mod tokens;
mod user_destinations;
mod users;

pub use access::{Access, Needs, OpenTo, RULES, Rule};
pub use client::{ClientAddress, TrustedProxies};
pub use extract::BODY_TIMEOUT;
pub use health::{Operations, Readiness};
pub use metrics::HttpMetrics;
pub use rate::Rate;
pub use request_log::LogHttp;
pub use router::{ApiState, Clients, operations_router, router};
pub use server::{ServerSettings, Stopped, serve};
pub use standby::Standby;
pub use tls::{RELOAD_INTERVAL, Tls, TlsError, TlsFiles};
