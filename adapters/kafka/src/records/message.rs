//! What is found in the topics of deliveries: our own messages in either format, those
//! of other producers, and what cannot be read.

use common::{
    Gtid, UtcMillis,
    wire::{Contract, DeliveryMeta, DeliveryRecord, VERSION},
};
use serde::Deserialize;

use super::{META_HEADER, header_of, outgoing::gtid_of};

/// The longest value that is read, in bytes. Ours are shorter: a text of 40,000 characters,
/// sealed, takes 215 kB.
pub(super) const MAX_VALUE: usize = 512 * 1024;

/// A message of the topics of deliveries.
#[derive(Clone, Debug)]
pub enum Message {
    /// Ours, in either format.
    Ours(Box<DeliveryRecord>),
    /// Another producer's.
    Foreign(Foreign),
}

/// A message with the three fields alone.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// The request that it names, if it does.
    pub gtid: Option<Gtid>,
    /// When it was written, as its producer or the broker says.
    pub written_at: UtcMillis,
    /// What it asks for, plain.
    pub contract: Contract,
}

/// Why a message cannot be read. Shown to people, so it holds nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no value.
    #[error("it has no value")]
    Empty,
    /// The value is too long to be a message.
    #[error("it has {0} bytes, and {MAX_VALUE} are the most")]
    TooLong(usize),
    /// It is no JSON object, or lacks a field, or a field is of another type.
    #[error("it is not a message: {0}")]
    Malformed(String),
    /// It is of a version that this release does not know.
    #[error("it has version {0} of the format, and this release knows {VERSION}")]
    UnknownVersion(u64),
}

/// Reads a message. What is sealed stays so.
pub fn read_message(message: &impl rdkafka::Message) -> Result<Message, Unreadable> {
    let value = message.payload().ok_or(Unreadable::Empty)?;
    if value.len() > MAX_VALUE {
        return Err(Unreadable::TooLong(value.len()));
    }
    if let Some(meta) = header_of(message, META_HEADER) {
        let meta: DeliveryMeta = read_versioned(meta)?;
        let contract = read_json(value)?;
        return Ok(Message::Ours(Box::new(DeliveryRecord { contract, meta })));
    }
    let Version { v } = read_json(value)?;
    match v.as_u64() {
        Some(_) => read_versioned(value).map(|record| Message::Ours(Box::new(record))),
        None => Ok(Message::Foreign(Foreign {
            gtid: gtid_of(message),
            written_at: UtcMillis(message.timestamp().to_millis().unwrap_or_default().max(0)),
            contract: read_json(value)?,
        })),
    }
}

/// Only what says whether the rest can be read. Somebody else's `v` need be no number.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    v: serde_json::Value,
}

/// Reads a record that says its version.
pub(crate) fn read_versioned<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Unreadable> {
    let version: Version = read_json(json)?;
    match version.v.as_u64() {
        Some(v) if v == u64::from(VERSION) => read_json(json),
        Some(v) => Err(Unreadable::UnknownVersion(v)),
        None => Err(Unreadable::Malformed("it has no version".into())),
    }
}

pub(super) fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(json).map_err(|error| Unreadable::Malformed(described(&error)))
}

/// Where the text stops being right, without quoting it: serde's own words may hold values.
fn described(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            "a field is missing or of another type than it must be"
        }
        _ => "it is no JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests;
