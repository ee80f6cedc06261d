//! Free ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// As often as it may be that somebody else has the port.
const ATTEMPTS: usize = 100;

/// An address on loopback that nobody listens on.
///
/// Below the range from which the system takes the ports of outgoing
/// connections, so that none of those gets in between.
pub fn free_address() -> SocketAddr {
    free_addresses(1)[0]
}

/// So many of them, each another.
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    // Held until all are found.
    let listeners: Vec<TcpListener> = (0..count).map(|_| listen()).collect();
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses
        .collect::<Result<_, _>>()
        .expect("a bound socket has an address")
}

fn listen() -> TcpListener {
    (0..ATTEMPTS)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(10_000..32_000))))
        .find_map(|address| TcpListener::bind(address).ok())
        .expect("one of a hundred ports is free")
}
