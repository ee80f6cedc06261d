use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A delivery's place in the order of acceptance, all over the cluster: the offset of
/// its alert in the topic of alerts, then its index within the alert. As a key:
/// `1234-0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, u32)", into = "(u64, u32)")]
pub struct Place {
    /// The alert's sequence number.
    pub sequence: u64,
    /// The delivery's index within its alert.
    pub ordinal: u32,
}

impl From<(u64, u32)> for Place {
    fn from((sequence, ordinal): (u64, u32)) -> Self {
        Self { sequence, ordinal }
    }
}

impl From<Place> for (u64, u32) {
    fn from(place: Place) -> Self {
        (place.sequence, place.ordinal)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.ordinal)
    }
}

/// The text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is two numbers such as 1234-0")]
pub struct MalformedPlace;

impl FromStr for Place {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, ordinal) = text.split_once('-').ok_or(MalformedPlace)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| MalformedPlace)?,
            ordinal: ordinal.parse().map_err(|_| MalformedPlace)?,
        })
    }
}
