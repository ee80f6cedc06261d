//! Whose request it is, as far as the network tells.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderName},
};

/// The other end of the request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Where the request comes from: the other end of its connection, or the address that a
/// trusted proxy there names. IPv4 written as IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// The header in which proxies name the address before them, each adding at the end.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How many addresses of that header are looked at.
const MOST_PROXIES: usize = 16;

/// Which addresses are proxies whose word counts.
#[derive(Clone, Default)]
pub struct TrustedProxies(Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>);

impl TrustedProxies {
    /// Those of which `is_one` says so. Without one, a client's own word about where it
    /// is counts nothing.
    pub fn new(is_one: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_one)))
    }

    fn hold(&self, address: IpAddr) -> bool {
        self.0.as_ref().is_some_and(|is_one| is_one(address))
    }

    /// From the end of the header, the first address that is no proxy of ours. What
    /// stands before it the client may have written itself.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.hold(client) {
            return client;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for text in named.take(MOST_PROXIES) {
            // Beyond what is no address nothing is known.
            let Some(address) = address(text.trim()) else {
                break;
            };
            client = address;
            if !self.hold(client) {
                break;
            }
        }
        client
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedProxies")
    }
}

/// An address, with a port or without: some proxies add one.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok().or_else(|| {
        let socket: std::net::SocketAddr = text.parse().ok()?;
        Some(socket.ip())
    });
    address.map(|address| address.to_canonical())
}

/// Puts the client's address among the request's extensions.
pub(crate) fn find(proxies: &TrustedProxies, request: &mut Request) {
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let client = ClientAddress(proxies.client(peer, request.headers()));
        request.extensions_mut().insert(client);
    }
}

/// The address that [`find`] put there.
pub(crate) fn address_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().map(|client| client.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(|address| match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(_) => false,
        });
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client_with_a_port_or_without() {
        for named in ["198.51.100.7", "198.51.100.7:4711", " ::ffff:198.51.100.7 "] {
            assert_eq!(client("10.0.0.1", &[named]), "198.51.100.7");
        }
        for named in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"] {
            assert_eq!(client("10.0.0.1", &[named]), "2001:db8::7");
        }
    }

    #[test]
    fn what_a_client_wrote_before_its_proxy_did_counts_nothing() {
        assert_eq!(
            client("10.0.0.1", &["127.0.0.1, 198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            client("10.0.0.1", &["127.0.0.1", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            client("10.0.0.1", &["127.0.0.1, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn where_the_header_says_nothing_more_the_last_proxy_is_the_client() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["unknown, 10.0.0.2"]), "10.0.0.2");
    }
}
