//! The receiving end: whoever has a partition delivers what is in it.
//!
//! ```text
//! group ─▶ session ─▶ lane ─▶ loading: what the last owner left
//!                      │  └──▶ pump: T.control, T.high, T ─▶ ledger
//!                      └─────▶ dispatcher ◀─▶ partition ◀─▶ ledger
//!                                               └─▶ writer: T.outcomes, T.state
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `ledger/` | the state of one partition: decides, without doing, what is handed over, what is written, from where the next owner reads |
//! | `partition.rs` | the [`DeliveryQueue`](consumer::ports::DeliveryQueue) over it: writes what it plans |
//! | `records.rs` | between the ledger's words and the records of `common::wire` |
//! | `spill.rs` | what is parked, on disk |
//! | `loading.rs`, `reader.rs`, `pump.rs` | reading, at the assignment and from then on |
//! | `writer.rs` | the producer |
//! | `lane.rs` | a partition from its assignment to its end, with an engine of its own |
//! | `membership.rs`, `session.rs`, `fence.rs` | the group: who has what, what is committed, and whether that is still so |
//! | `health.rs`, `inspectors.rs` | whether there is progress; how destinations stand |
//! | `alone.rs` | a partition without a group |

mod alone;
mod fence;
mod health;
mod inspectors;
mod lane;
pub mod ledger;
mod loading;
mod membership;
mod partition;
mod pump;
mod reader;
#[cfg(feature = "fuzzing")]
pub use reader::read_noted;
mod records;
mod session;
mod shared;
pub mod spill;
mod writer;

use std::{fmt, future::Future, path::PathBuf, pin::pin, sync::Arc};

use rdkafka::consumer::Consumer;
use tokio::sync::mpsc::unbounded_channel;

pub use alone::Alone;
pub use health::Health;
pub use inspectors::Inspectors;
pub use lane::Delivering;

use crate::{
    error::OpenError,
    sealer::Sealer,
    settings::Settings,
    topics::{Limits, Topics},
};
use fence::Fence;
use lane::Outward;
use membership::{DELIVERY, Group, Held, SESSION};
use session::{End, GroupConsumer, Session};
use shared::Shared;
use writer::LaneWriter;

/// The consuming process: joins the group and delivers what is in its partitions.
pub struct Lanes {
    settings: Settings,
    sealer: Arc<Sealer>,
    limits: Limits,
    outward: Arc<Outward>,
    folder: PathBuf,
    health: Arc<Health>,
}

impl Lanes {
    /// Lanes over topics that are [prepared](crate::prepare). What they park is spilled
    /// to files without a name in the folder for temporary files.
    pub fn new(
        settings: &Settings,
        sealer: Arc<Sealer>,
        limits: Limits,
        delivering: Delivering,
    ) -> Self {
        Self {
            outward: Arc::new(Outward::new(delivering, settings.partitions)),
            settings: settings.clone(),
            sealer,
            limits,
            folder: std::env::temp_dir(),
            health: Arc::default(),
        }
    }

    /// Whether they make progress.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// How the destinations of its partitions stand.
    pub fn inspectors(&self) -> Arc<Inspectors> {
        Arc::clone(&self.outward.inspectors)
    }

    /// Delivers until `stop`; then begins no further request, waits for those under way,
    /// records and commits what they came to, and leaves the group, so that others take
    /// over at once. Goes on by itself whatever happens to the brokers; an error is one of
    /// the settings.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), OpenError> {
        let mut stop = pin!(stop);
        loop {
            let shared = Arc::new(self.shared()?);
            self.health.begins(&shared);
            let (changes, changed) = unbounded_channel();
            let held = Held::default();
            let group = Group::new(changes, Arc::clone(&held));
            let consumer: GroupConsumer =
                membership::config(&self.settings).create_with_context(group)?;
            consumer.subscribe(&[&shared.topics.deliveries])?;
            let consumer = Arc::new(consumer);
            let session = Session::new(
                shared,
                Arc::clone(&self.outward),
                Arc::clone(&consumer),
                Arc::clone(&self.health),
                held,
            );
            let end = session.run(changed, stop.as_mut()).await;
            session::leave(consumer).await;
            match end {
                End::Stopped => return Ok(()),
                End::Failed(reason) => {
                    tracing::warn!("this process joins the group anew: {reason}");
                    tokio::select! {
                        () = stop.as_mut() => return Ok(()),
                        () = session::pause() => {}
                    }
                }
            }
        }
    }

    fn shared(&self) -> Result<Shared, OpenError> {
        Ok(Shared {
            topics: Topics::new(&self.settings),
            settings: self.settings.clone(),
            limits: self.limits,
            sealer: Arc::clone(&self.sealer),
            clock: Arc::clone(&self.outward.delivering.clock),
            writer: LaneWriter::open(&self.settings, DELIVERY)?,
            fence: Fence::new(SESSION),
            folder: self.folder.clone(),
        })
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
