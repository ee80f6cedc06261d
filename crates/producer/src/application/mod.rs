//! The use cases.

pub mod alerts;
pub mod api_tokens;
pub mod directory;
pub mod keyed_queue;
pub mod orders;
pub mod remote_control;
pub mod secrets;
pub mod transfer;
pub mod warnings;
pub mod watched_history;

pub use alerts::{AlertReceipt, AlertRequest, Alerts, Preview};
pub use api_tokens::{ApiTokens, CreateTokenError, CreatedApiToken, NewApiToken};
pub use directory::DirectoryAdmin;
pub use keyed_queue::KeyedQueue;
pub use orders::Orders;
pub use remote_control::RemoteControl;
pub use secrets::Secrets;
pub use warnings::Warnings;
pub use watched_history::WatchedHistory;
