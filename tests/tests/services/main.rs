//! The servers of the scaled-out form are real, and fail as real ones do.

mod kafka;
mod postgres;
