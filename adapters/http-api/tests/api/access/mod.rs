//! Who may call what.

mod holders;
mod matrix;
mod opening;
mod restricting;
mod slowing;
mod tokens;
