//! The use cases.

pub mod alerts;
pub mod directory;
pub mod transfer;
pub mod warnings;

pub use alerts::{AlertReceipt, AlertRequest, Alerts, Preview};
pub use directory::DirectoryAdmin;
pub use warnings::Warnings;
