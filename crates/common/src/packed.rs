//! How stores pack what has no table of its own: durable formats, version 1.
//!
//! `targets`: for each target its length in bytes as a varint, then its UTF-8.
//!
//! `recipients`: one byte, the version (1), then for each delivery
//!
//! | field | form |
//! |---|---|
//! | destination id | 8 bytes, little-endian |
//! | credential id | varint |
//! | number of recipients, 1 or more | varint |
//! | for each: user id | 16 bytes |
//! | for each: place of the target that matched | varint |
//!
//! A varint is LEB128, at most 10 bytes
//! (<https://protobuf.dev/programming-guides/encoding/#varints>).

use uuid::Uuid;

use crate::{CredentialId, DestinationId, Recipient, Recipients, UserId};

const VERSION: u8 = 1;

/// A delivery as its alert's row refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedDelivery {
    /// Where to.
    pub destination: DestinationId,
    /// With what, as of acceptance.
    pub credential: CredentialId,
    /// For whom; never empty where we packed it.
    pub recipients: Recipients,
}

/// The column does not hold what it should: the store was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed column is damaged at byte {0}; restore it from a backup")]
pub struct Damaged(usize);

/// Packs an alert's targets.
pub fn pack_targets(targets: &[Box<str>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(targets.iter().map(|target| target.len() + 2).sum());
    for target in targets {
        put_varint(&mut out, target.len() as u64);
        out.extend_from_slice(target.as_bytes());
    }
    out
}

/// The targets that were packed.
///
/// # Errors
/// [`Damaged`], wherever they were not.
pub fn unpack_targets(bytes: &[u8]) -> Result<Box<[Box<str>]>, Damaged> {
    let mut input = Input::new(bytes);
    let mut targets = Vec::new();
    while !input.is_at_end() {
        let length = input.length()?;
        let text = std::str::from_utf8(input.take(length)?).map_err(|_| Damaged(input.at))?;
        targets.push(text.into());
    }
    Ok(targets.into())
}

/// Packs an alert's deliveries, in their order.
pub fn pack_deliveries<'a>(
    deliveries: impl ExactSizeIterator<Item = (DestinationId, CredentialId, &'a [Recipient])>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + deliveries.len() * 32);
    out.push(VERSION);
    for (destination, credential, recipients) in deliveries {
        out.extend_from_slice(&destination.0.to_le_bytes());
        put_varint(&mut out, credential.0 as u64);
        put_varint(&mut out, recipients.len() as u64);
        for recipient in recipients {
            out.extend_from_slice(recipient.user.0.as_bytes());
            put_varint(&mut out, u64::from(recipient.target));
        }
    }
    out
}

/// The deliveries that were packed, in their order.
///
/// # Errors
/// [`Damaged`], wherever they were not.
pub fn unpack_deliveries(bytes: &[u8]) -> Result<Vec<PackedDelivery>, Damaged> {
    let mut input = Input::new(bytes);
    if input.take(1)? != [VERSION] {
        return Err(Damaged(0));
    }
    let mut deliveries = Vec::new();
    while !input.is_at_end() {
        deliveries.push(input.delivery()?);
    }
    Ok(deliveries)
}

/// The deliveries of those ordinals, in the same order; `None` where there is none. The
/// others are passed over, so that one of very many costs little.
pub fn pick_deliveries(
    bytes: &[u8],
    ordinals: &[u32],
) -> Result<Vec<Option<PackedDelivery>>, Damaged> {
    let mut input = Input::new(bytes);
    if input.take(1)? != [VERSION] {
        return Err(Damaged(0));
    }
    let mut wanted: Vec<usize> = (0..ordinals.len()).collect();
    wanted.sort_unstable_by_key(|place| ordinals[*place]);
    let mut picked: Vec<Option<PackedDelivery>> = vec![None; ordinals.len()];
    let mut next = 0;
    let mut last: Option<(u32, usize)> = None;
    for place in wanted {
        let ordinal = ordinals[place];
        if let Some((_, earlier)) = last.filter(|(same, _)| *same == ordinal) {
            picked[place] = picked[earlier].clone();
            continue;
        }
        while next < ordinal && !input.is_at_end() {
            input.pass_delivery()?;
            next += 1;
        }
        if input.is_at_end() {
            break;
        }
        picked[place] = Some(input.delivery()?);
        next += 1;
        last = Some((ordinal, place));
    }
    Ok(picked)
}

/// Writes a number as a varint.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads packed bytes from their beginning.
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// At the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether all was read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let end = self.at.checked_add(length).ok_or(Damaged(self.at))?;
        let taken = self.bytes.get(self.at..end).ok_or(Damaged(self.at))?;
        self.at = end;
        Ok(taken)
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`Damaged`], where there are not so many.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Damaged(at))
    }

    /// The number that comes next as a varint.
    ///
    /// # Errors
    /// [`Damaged`], where none does.
    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged(self.at))
    }

    fn length(&mut self) -> Result<usize, Damaged> {
        let at = self.at;
        usize::try_from(self.varint()?).map_err(|_| Damaged(at))
    }

    fn pass_delivery(&mut self) -> Result<(), Damaged> {
        self.take(8)?;
        self.varint()?;
        for _ in 0..self.length()? {
            self.take(16)?;
            self.varint()?;
        }
        Ok(())
    }

    fn delivery(&mut self) -> Result<PackedDelivery, Damaged> {
        let destination = DestinationId(u64::from_le_bytes(self.array()?));
        let credential = CredentialId(self.varint()? as i64);
        let count = self.length()?;
        let mut recipients = Recipients::new();
        for _ in 0..count {
            let user = UserId(Uuid::from_bytes(self.array()?));
            let at = self.at;
            let target = u32::try_from(self.varint()?).map_err(|_| Damaged(at))?;
            recipients.push(Recipient { user, target });
        }
        Ok(PackedDelivery {
            destination,
            credential,
            recipients,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(address: &str, credential: i64, users: &[u128]) -> PackedDelivery {
        PackedDelivery {
            destination: DestinationId::of("slack", "", address),
            credential: CredentialId(credential),
            recipients: users
                .iter()
                .map(|n| Recipient {
                    user: UserId(Uuid::from_u128(*n)),
                    target: 300,
                })
                .collect(),
        }
    }

    fn packed(deliveries: &[PackedDelivery]) -> Vec<u8> {
        pack_deliveries(
            deliveries
                .iter()
                .map(|one| (one.destination, one.credential, &one.recipients[..])),
        )
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let deliveries = [delivery("a", 1, &[1]), delivery("b", i64::MAX, &[2, 3])];
        assert_eq!(unpack_deliveries(&packed(&deliveries)).unwrap(), deliveries);
        let targets: Box<[Box<str>]> = ["@ann", "", "@@장애알림방"].map(Into::into).into();
        assert_eq!(unpack_targets(&pack_targets(&targets)).unwrap(), targets);
    }

    #[test]
    fn deliveries_are_picked_by_ordinal_in_any_order_and_those_that_are_not_there_are_none() {
        let deliveries = [
            delivery("a", 1, &[1]),
            delivery("b", 300, &[2, 3]),
            delivery("c", 2, &[4]),
        ];
        let bytes = packed(&deliveries);
        let all = unpack_deliveries(&bytes).unwrap();
        let picked = pick_deliveries(&bytes, &[2, 0, 3, 2]).unwrap();
        let expected = [Some(&all[2]), Some(&all[0]), None, Some(&all[2])];
        assert!(picked.iter().map(Option::as_ref).eq(expected));
        assert_eq!(pick_deliveries(&bytes, &[]).unwrap(), []);
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let whole = packed(&[delivery("a", 1, &[1])]);
        for cut in 2..whole.len() {
            assert!(unpack_deliveries(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(unpack_deliveries(&[9]).is_err());
        assert!(unpack_deliveries(&[0xff; 64]).is_err());
        assert!(unpack_targets(&[0xff; 11]).is_err());
    }

    #[test]
    fn the_format_is_what_release_0_1_wrote() {
        let bytes = packed(&[delivery("test_channel_id1", 5, &[7])]);
        let mut expected = vec![1];
        expected.extend_from_slice(&4_420_853_614_831_390_542_u64.to_le_bytes());
        expected.extend_from_slice(&[5, 1]);
        expected.extend_from_slice(&7_u128.to_be_bytes());
        expected.extend_from_slice(&[0xac, 0x02]);
        assert_eq!(bytes, expected);
    }
}
