//! Readers of foreign input, for those who try to break them: `fuzz/`.

pub use crate::lanes::read_noted as commit_metadata;
