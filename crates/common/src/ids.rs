//! Ids. Each kind has a type of its own, so one is never passed for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::UtcMillis;

/// The namespace of every name-based (version 5) UUID made here. Durable; never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x9f0c_5f7e_6d0b_4c6e_9a61_3d5b_7a1e_0c42);

/// An alert's id: UUID version 7, fixed before anything is published
/// (<https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7>). It says when,
/// roughly; the order of alerts is the queue's sequence, never this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub Uuid);

/// A delivery's id: UUID version 8 that begins with its alert's time and goes on
/// with a hash of its alert, destination and credential
/// (<https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8>). So the same
/// delivery published again is recognised, and a store finds it by its time
/// without an index of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub Uuid);

/// A user's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub Uuid);

/// Names one of a user's destinations, whatever place it is now. That of the first,
/// which is the contract's `token` and `channelId`, is the user's own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserDestinationId(pub Uuid);

/// The id of an API token: its name where a secret must not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiTokenId(pub Uuid);

/// A notification group's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub Uuid);

/// A destination's id: 62 bits of a hash of what makes it one (channel kind,
/// base URL, address), so every process and store computes the same; and one bit that
/// says whether it is a place for warnings, see [`for_warnings`](Self::for_warnings).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DestinationId(pub u64);

/// A credential version's id, given out by the directory's store; 0 for a
/// credential that came with its message and is in no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CredentialId(pub i64);

impl AlertId {
    /// A new id for an alert that arrives now.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// A new id for an alert that is accepted at that time, which a store finds
    /// it by.
    pub fn at(accepted_at: UtcMillis) -> Self {
        let mut random = [0; 10];
        // A random UUID has six fixed bits, in its bytes 6 and 8.
        let source = Uuid::new_v4().into_bytes();
        random[..6].copy_from_slice(&source[..6]);
        random[6..].copy_from_slice(&source[9..13]);
        let millis = u64::try_from(accepted_at.0).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id of an alert that was found as somebody else's message, written at that
    /// time in a place that `name` names: the same whoever finds it. A UUID of version 8,
    /// since its last bits are a hash.
    pub fn found(written_at: UtcMillis, name: &str) -> Self {
        let mut bytes = Uuid::new_v5(&NAMESPACE, name.as_bytes()).into_bytes();
        let millis = u64::try_from(written_at.0).unwrap_or_default();
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The time that stands in the id.
    pub fn time(self) -> UtcMillis {
        time_of(self.0)
    }
}

impl DeliveryId {
    /// The id of the delivery of `alert` to `destination` with `credential`.
    pub fn of(alert: AlertId, destination: DestinationId, credential: CredentialId) -> Self {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&destination.0.to_be_bytes());
        name[8..].copy_from_slice(&credential.0.to_be_bytes());
        let mut bytes = Uuid::new_v5(&alert.0, &name).into_bytes();
        bytes[..6].copy_from_slice(&alert.0.as_bytes()[..6]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The time that stands in the id: its alert's.
    pub fn time(self) -> UtcMillis {
        time_of(self.0)
    }
}

/// The first 48 bits, which are milliseconds in the versions 7 and, here, 8.
fn time_of(id: Uuid) -> UtcMillis {
    let (high, _) = id.as_u64_pair();
    UtcMillis((high >> 16) as i64)
}

impl DestinationId {
    /// The id of the destination that these three make.
    pub fn of(kind: &str, base_url: &str, address: &str) -> Self {
        let name = [kind, base_url, address].join("\0");
        let (_, low) = Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_u64_pair();
        // The two highest bits are the UUID's variant; without them the id also
        // fits a signed 64-bit column.
        Self(low & (u64::MAX >> 2))
    }

    /// The same place for warnings, which tell that telling failed: a destination
    /// beside the first, so that they never stand in the line that they warn of.
    /// Durable: bit 62, which the hash leaves free and a signed column still holds.
    pub fn for_warnings(self) -> Self {
        Self(self.0 | FOR_WARNINGS)
    }

    /// Whether it is a place for warnings.
    pub fn is_for_warnings(self) -> bool {
        self.0 & FOR_WARNINGS != 0
    }

    /// The place itself, whatever goes there.
    pub fn place(self) -> Self {
        Self(self.0 & !FOR_WARNINGS)
    }
}

const FOR_WARNINGS: u64 = 1 << 62;

/// What every UUID-shaped id can do: be read from the hyphenated form and shown in it.
macro_rules! uuid_text {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

uuid_text!(
    AlertId,
    DeliveryId,
    UserId,
    UserDestinationId,
    ApiTokenId,
    GroupId
);

/// The text was not a UUID in its hyphenated form of 36 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is a UUID such as 11111111-1111-1111-1111-111111111111")]
pub struct MalformedId;

fn parse_hyphenated(text: &str) -> Result<Uuid, MalformedId> {
    // Uuid::parse_str also takes braces, URNs and bare digits, which the
    // contract does not know.
    if text.len() != 36 {
        return Err(MalformedId);
    }
    Uuid::parse_str(text).map_err(|_| MalformedId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_delivery_gets_the_same_id_and_another_one_another() {
        let alert = AlertId::generate();
        let id = DeliveryId::of(alert, DestinationId(1), CredentialId(2));
        assert_eq!(id, DeliveryId::of(alert, DestinationId(1), CredentialId(2)));
        assert_ne!(id, DeliveryId::of(alert, DestinationId(2), CredentialId(1)));
        assert_ne!(
            id,
            DeliveryId::of(AlertId::generate(), DestinationId(1), CredentialId(2))
        );
    }

    #[test]
    fn alert_and_delivery_carry_the_time_of_acceptance() {
        let accepted_at = UtcMillis(1_795_392_000_123);
        let alert = AlertId::at(accepted_at);
        assert_ne!(alert, AlertId::at(accepted_at));
        assert_eq!(alert.0.get_version_num(), 7);
        assert_eq!(alert.time(), accepted_at);
        let delivery = DeliveryId::of(alert, DestinationId(1), CredentialId(2));
        assert_eq!(delivery.0.get_version_num(), 8);
        assert_eq!(delivery.time(), accepted_at);
    }

    #[test]
    fn an_alert_that_was_found_gets_the_same_id_from_whoever_finds_it() {
        let written_at = UtcMillis(1_795_392_000_123);
        let id = AlertId::found(written_at, "topic-0-7");
        assert_eq!(id, AlertId::found(written_at, "topic-0-7"));
        assert_ne!(id, AlertId::found(written_at, "topic-0-8"));
        assert_eq!(id.time(), written_at);
    }

    #[test]
    fn a_destination_id_is_the_same_in_every_process_and_release() {
        assert_eq!(
            DestinationId::of("slack", "", "test_channel_id1"),
            DestinationId(4_420_853_614_831_390_542),
        );
        assert_ne!(
            DestinationId::of("slack", "", "a"),
            DestinationId::of("slack", "a", "")
        );
    }

    #[test]
    fn a_place_for_warnings_is_a_destination_beside_it_that_a_signed_column_holds() {
        let place = DestinationId::of("slack", "", "a");
        let warnings = place.for_warnings();
        assert_ne!(warnings, place);
        assert!(warnings.is_for_warnings() && !place.is_for_warnings());
        assert_eq!([warnings.place(), place.place()], [place, place]);
        assert!(i64::try_from(warnings.0).is_ok());
    }

    #[test]
    fn only_the_hyphenated_form_of_a_uuid_is_an_id() {
        assert!(
            "11111111-1111-1111-1111-111111111111"
                .parse::<UserId>()
                .is_ok()
        );
        for text in [
            "",
            "1",
            "11111111111111111111111111111111",
            "{11111111-1111-1111-1111-111111111111}",
        ] {
            assert_eq!(text.parse::<UserId>(), Err(MalformedId), "{text:?}");
        }
    }
}
