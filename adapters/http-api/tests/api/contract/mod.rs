//! The contract, row by row: tables of [`case::Case`]s, each of which names the row or
//! sentence that it stands for, and tests of what takes more than one request.

mod alerts;
mod case;
mod destinations;
mod groups;
mod requests;
mod users;
