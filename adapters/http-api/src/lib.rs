//! The HTTP contract over the producer's use cases.
//!
//! [`router()`] makes the routes, [`serve`] runs them over hyper with time-outs
//! and a cap on connections. Every JSON answer stands in one envelope
//! (`envelope.rs`), one table says what each operation needs (`access/rules.rs`), and one file says which error is which status (`errors.rs`).

mod access;
mod alerts;
mod connection;
mod destinations;
mod directory;
mod envelope;
mod errors;
mod extract;
mod groups;
mod gtid;
mod health;
mod history;
mod metrics;
mod openapi;
mod paging;
mod redact;
mod request_log;
mod router;
mod server;
mod standby;
mod tokens;
mod user_destinations;
mod users;

pub use access::{Access, ClientAddress, Needs, OpenTo, RULES, Rule};
pub use extract::BODY_TIMEOUT;
pub use health::{Operations, Readiness};
pub use metrics::HttpMetrics;
pub use request_log::LogHttp;
pub use router::{ApiState, operations_router, router};
pub use server::{ServerSettings, Stopped, serve};
pub use standby::Standby;
