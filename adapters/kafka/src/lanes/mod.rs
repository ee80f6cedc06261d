//! The receiving half: whoever has a partition delivers what is in it.
//!
//! [`ledger`] decides, without doing: what is handed over, what is written, from where
//! the next owner reads.

pub mod ledger;
pub mod spill;
