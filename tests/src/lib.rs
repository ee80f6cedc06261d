//! Tests of the program as a whole, and what they share.

pub mod contract;
pub mod crash;
pub mod crowd;
pub mod durability;
pub mod figures;
pub mod harness;
pub mod model_queue;
pub mod scaled_out;
pub mod search;
pub mod services;
