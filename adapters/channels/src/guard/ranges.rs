//! Which addresses are of the public Internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and number of bits of each IPv4 range that no user may choose. From
/// IANA's registry of special addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry/>), unless noted.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 16] = [
    // This host, this network.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Carriers' own (CGNAT); Alibaba Cloud's metadata is 100.100.100.200.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // This machine.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; most clouds' metadata is 169.254.169.254.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocols; Oracle Cloud's metadata is 192.0.0.192.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Relays of 6to4, given up.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Measuring of networks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast; then reserved, with broadcast
    // (https://www.iana.org/assignments/ipv4-address-space/).
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Azure's platform channel, on a public address: metadata, agents' secrets
    // (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// The same within 2000::/3, of which alone IANA gives out public addresses
/// (<https://www.iana.org/assignments/ipv6-address-space/>): loopback, link-local,
/// unique local (AWS's metadata is fd00:ec2::254), multicast, IPv4-mapped and NAT64
/// addresses all lie outside. From IANA's registry of special addresses
/// (<https://www.iana.org/assignments/iana-ipv6-special-registry/>).
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    // Protocols: Teredo, which holds an IPv4 address, ORCHID, measuring, …
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which holds an IPv4 address.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// 2000::/3.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether `address` is a public one. An IPv6 address that stands for an IPv4 one
/// (mapped, NAT64, 6to4, Teredo) is not, whatever it stands for.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4
            .iter()
            .any(|(first, bits)| (u32::from(*first) ^ u32::from(address)).leading_zeros() >= *bits),
        IpAddr::V6(address) => {
            let is_in = |(first, bits): &(Ipv6Addr, u32)| {
                (u128::from(*first) ^ u128::from(address)).leading_zeros() >= *bits
            };
            is_in(&GLOBAL_UNICAST) && !NOT_PUBLIC_V6.iter().any(is_in)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last address of each range, and what lies within that has a
    /// name of its own.
    const FORBIDDEN: [&str; 70] = [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.255.255",
        "172.16.0.0",
        "172.17.0.1",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.192",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.1.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    const PUBLIC: [&str; 22] = [
        "1.0.0.0",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
    ];

    #[test]
    fn every_form_of_an_inner_address_is_told_from_a_public_one() {
        for text in FORBIDDEN {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in PUBLIC {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
