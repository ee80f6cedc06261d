//! Who may call what.

mod audit;
pub(crate) mod holders;
mod matrix;
mod opening;
mod restricting;
mod slowing;
mod tokens;
