//! The message queue in Apache Kafka. `PROTOCOL.md` says how: which topic holds what, who
//! writes and reads it, and what happens where a process dies.
//!
//! | file or folder | what it does |
//! |---|---|
//! | `settings.rs`, `error.rs` | how the cluster is used; why it cannot be |
//! | `topics.rs`, `client.rs` | the topics and that they are as they must be; clients, and whether they reach it |
//! | `sending.rs` | producers, and the threads that hear what became of their records |
//! | `sealer.rs`, `key_check.rs` | what subscribers without the key must not see; whether this process has the others' keys |
//! | `records/` | between the domain and the records of `common::wire` |
//! | `publisher.rs`, `gate.rs` | the accepting end: alerts into their topic; whether that can be done now |
//! | `alert_log/` | the topic of alerts as whoever reads it must: what is an alert, what a repetition |
//! | `fanout/` | alerts become deliveries, each in its partition |
//! | `control.rs` | consumers are asked to cancel and to replay |
//! | `history/` | what became of alerts, handed to whoever writes it down |
//! | `unopened.rs` | how long others may try to open what this process cannot |
//! | `adopt.rs` | messages of other producers become alerts |
//! | `lanes/` | the receiving end: whoever has a partition delivers what is in it |

mod adopt;
pub mod alert_log;
mod client;
mod control;
mod error;
mod fanout;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod history;
mod key_check;
pub mod lanes;
mod publisher;
pub mod records;
mod sealer;
mod sending;
mod settings;
mod topics;
mod unopened;

pub use adopt::adopt;
pub use client::{Cluster, TopicFacts};
pub use error::OpenError;
pub use fanout::FanOut;
pub use history::{FeedMetrics, HistoryFeed};
pub use key_check::check_keys;
pub use lanes::{Delivering, Inspectors, Lanes};
pub use publisher::Publisher;
pub use sealer::{Field, NoKey, Sealer};
pub use sealing::{KeyError, Keyring, Unopened};
pub use settings::{Format, Settings};
pub use topics::{Limits, Topics, partition_of, prepare};
