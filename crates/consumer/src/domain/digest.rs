//! Several deliveries to one destination, folded into one message.

use std::fmt;

use common::{DeliveryId, Severity};
use uuid::Uuid;

use super::LeaseKey;

/// A digest's id: UUID version 5 of its lead, its text and its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestId(pub Uuid);

impl DigestId {
    /// The id of the digest that `lead` leads, that says `text` and carries `members`.
    pub fn of(lead: DeliveryId, text: &str, members: &[LeaseKey]) -> Self {
        let mut name = Vec::with_capacity(text.len() + members.len() * 12);
        name.extend_from_slice(text.as_bytes());
        for member in members {
            name.extend_from_slice(&member.position.sequence.to_be_bytes());
            name.extend_from_slice(&member.position.ordinal.to_be_bytes());
        }
        Self(Uuid::new_v5(&lead.0, &name))
    }
}

impl fmt::Display for DigestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// One message that carries several deliveries. It never changes: after a crash the
/// same is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Which one.
    pub id: DigestId,
    /// What it says, plain; one message of its channel.
    pub text: Box<str>,
    /// How many deliveries it carries, by [`Severity::code`].
    pub members: [u32; 3],
}

impl Digest {
    /// How many deliveries it carries.
    pub fn len(&self) -> u32 {
        self.members.iter().sum()
    }

    /// Whether it carries none, which no digest does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of one severity.
    pub fn of(&self, severity: Severity) -> u32 {
        self.members[usize::from(severity.code())]
    }
}
