//! Free ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// An address on loopback that nobody listens on.
///
/// Below the range from which the system takes the ports of outgoing
/// connections, so that none of those gets in between.
pub fn free_address() -> SocketAddr {
    (0..100)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(10_000..32_000))))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("one of a hundred ports is free")
}
