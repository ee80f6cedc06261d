//! Who may call what.

mod audit;
mod holders;
mod matrix;
mod opening;
mod restricting;
mod slowing;
mod tokens;
