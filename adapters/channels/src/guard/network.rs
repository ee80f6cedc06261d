//! A range of addresses, as an administrator writes it.

use std::{fmt, net::IpAddr, str::FromStr};

/// All addresses that begin with the same bits: `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// The text was no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedNetwork {
    /// Not an address with a number of bits.
    #[error("write an address and a number of bits, such as 10.0.0.0/8 or fd00::/8")]
    Syntax,
    /// There are bits set behind those that count.
    #[error("the address has bits set beyond the first {0}")]
    BitsBeyond(u8),
}

impl Network {
    /// Whether `address` is in it. An IPv4 address written as IPv6 (`::ffff:…`) is the
    /// IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = u32::from(first) ^ u32::from(address);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = u128::from(first) ^ u128::from(address);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = MalformedNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| MalformedNetwork::Syntax)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| MalformedNetwork::Syntax)?,
            None => most,
        };
        if bits > most {
            return Err(MalformedNetwork::Syntax);
        }
        let beyond = match first {
            IpAddr::V4(first) => u32::from(first).checked_shl(bits.into()).unwrap_or(0) != 0,
            IpAddr::V6(first) => u128::from(first).checked_shl(bits.into()).unwrap_or(0) != 0,
        };
        if beyond {
            return Err(MalformedNetwork::BitsBeyond(bits));
        }
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.holds(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_with_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
        ] {
            assert!(holds(network, inside), "{network} {inside}");
            assert!(!holds(network, outside), "{network} {outside}");
        }
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "2001::1"));
        assert!(holds("::/0", "2001::1") && !holds("::/0", "8.8.8.8"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "a/8",
            "10.0.0.0/-1",
        ] {
            let refusal = text.parse::<Network>().unwrap_err();
            assert_eq!(refusal, MalformedNetwork::Syntax, "{text:?}");
        }
        let refusal = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert_eq!(refusal, MalformedNetwork::BitsBeyond(8));
        assert_eq!(
            "10.0.0.0/8".parse::<Network>().unwrap().to_string(),
            "10.0.0.0/8"
        );
    }
}
