//! The real binary as processes: start it, talk to it, load it, kill it, look at
//! what it left behind.
//!
//! All on loopback and ports that were free a moment ago; whatever waits, waits
//! a bounded time; every process is killed by its own id when its handle goes. It
//! must be started by the thread that keeps it, or one that lives as long.
//! What goes wrong panics, which fails the test with what it says.

mod binary;
mod clock;
mod database;
mod directory;
mod http;
mod load;
mod mockup;
mod port;
mod process;
mod scratch;
mod server;
mod shim;
mod site;
mod wait;

pub use binary::program;
pub use clock::MovableClock;
pub use database::{Database, Ends, State, StoredAlert, StoredDelivery, StoredWait};
pub use directory::{Directory, Group, User};
pub use http::{Answer, Connection, request};
pub use load::{Alert, Load, Outcome, Posted, post, post_with};
pub use mockup::{Message, Mockup, Refusal, Stats};
pub use port::{free_address, free_addresses};
pub use process::{Process, command, command_ended_by};
pub(crate) use process::{is_running, pause, pid, started_at};
pub use scratch::{Scratch, build_folder};
pub use server::{Server, ServerOptions};
pub use shim::shim;
pub use site::Site;
pub use wait::{LONG, until, wait_for};
