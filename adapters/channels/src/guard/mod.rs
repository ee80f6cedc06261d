//! The guard of what users choose: the addresses that requests may go to.
//!
//! Whoever may write a destination chooses where this service sends requests, and
//! must not by that reach what stands behind its firewall: other services of the
//! machine and the network, or a cloud's metadata
//! (<https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html>).
//!
//! So the guard stands where the connection is made, not where the URL is written.
//! A name is looked up once; of what comes, only admitted addresses go on, and the
//! connection is made to one of these. A name that means another address a moment
//! later changes nothing. An odd way to write an address (`0x7f.1`, `2130706433`) is
//! a name to this program, and what it is looked up to is checked. Redirects are not
//! followed by the client, so none leads around.

mod lookup;
mod network;
mod ranges;

use std::{net::IpAddr, sync::Arc};

use hyper::Uri;

pub(crate) use lookup::GuardedLookup;
pub use lookup::{Lookup, SystemLookup};
pub use network::{MalformedNetwork, Network};

/// What may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Arc<[Network]>,
}

/// Why a request was not sent. Says nothing of what the name stands for inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Neither `http` nor `https`, or no host.
    #[error("only http and https URLs are called")]
    Scheme,
    /// A port on which other services than HTTP live.
    #[error("port {0} is not called: only 80, 443 and those from 1024 on are")]
    Port(u16),
    /// Every address of the host is one that is not for users to choose.
    #[error(
        "the host's address is not a public one (or, for http, not one that --webhook-allow names)"
    )]
    Address,
}

impl Guard {
    /// Admits public addresses, and those in `allowed`. Plain `http` is admitted to
    /// the latter alone.
    pub fn new(allowed: Vec<Network>) -> Self {
        Self {
            allowed: allowed.into(),
        }
    }

    /// Whether a connection may be made to `address`; `plain` is one without TLS.
    pub fn admits(&self, address: IpAddr, plain: bool) -> bool {
        let is_allowed = self.allowed.iter().any(|network| network.holds(address));
        is_allowed || (!plain && ranges::is_public(address))
    }

    /// Refuses what can be told from the URL alone: scheme, port, and a host that is
    /// written as an address, which is not looked up.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check(&self, uri: &Uri) -> Result<(), Forbidden> {
        let plain = is_plain(uri).ok_or(Forbidden::Scheme)?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(Forbidden::Scheme)?;
        let usual = if plain { 80 } else { 443 };
        match uri.port_u16().unwrap_or(usual) {
            80 | 443 | 1024.. => {}
            port => return Err(Forbidden::Port(port)),
        }
        match literal(host) {
            Some(address) if !self.admits(address, plain) => Err(Forbidden::Address),
            _ => Ok(()),
        }
    }
}

/// Whether the URL is one without TLS; `None` for a scheme of another kind.
pub(crate) fn is_plain(uri: &Uri) -> Option<bool> {
    match uri.scheme_str() {
        Some("http") => Some(true),
        Some("https") => Some(false),
        _ => None,
    }
}

/// The address that `host` is, where it is one and not a name.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, url: &str) -> Result<(), Forbidden> {
        guard.check(&url.parse().unwrap())
    }

    #[test]
    fn public_https_on_the_usual_and_the_high_ports_passes() {
        for url in [
            "https://example.org/hook",
            "https://example.org:443/",
            "https://example.org:80/",
            "https://example.org:1024/",
            "https://example.org:65535/",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1::1]:8443/",
        ] {
            assert_eq!(check(&Guard::default(), url), Ok(()), "{url}");
        }
    }

    #[test]
    fn low_ports_other_schemes_and_literal_inner_addresses_are_refused() {
        for (url, error) in [
            ("https://example.org:22/", Forbidden::Port(22)),
            ("https://example.org:0/", Forbidden::Port(0)),
            ("https://example.org:1023/", Forbidden::Port(1023)),
            ("ftp://example.org/", Forbidden::Scheme),
            ("/hook", Forbidden::Scheme),
            ("http://93.184.216.34/", Forbidden::Address),
            ("https://127.0.0.1/", Forbidden::Address),
            ("https://[::1]/", Forbidden::Address),
            ("https://[::ffff:127.0.0.1]/", Forbidden::Address),
            (
                "https://169.254.169.254/latest/meta-data",
                Forbidden::Address,
            ),
        ] {
            assert_eq!(check(&Guard::default(), url), Err(error), "{url}");
        }
    }

    #[test]
    fn an_allowed_network_admits_its_own_and_http_and_nothing_else() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        for url in ["http://127.0.0.1:8082/", "https://127.9.9.9/"] {
            assert_eq!(check(&guard, url), Ok(()), "{url}");
        }
        for url in [
            "http://10.0.0.1/",
            "https://[::1]/",
            "http://93.184.216.34/",
        ] {
            assert_eq!(check(&guard, url), Err(Forbidden::Address), "{url}");
        }
        // The same host, however it is written.
        assert_eq!(check(&guard, "http://[::ffff:127.0.0.1]/"), Ok(()));
        // A low port stays closed.
        assert_eq!(
            check(&guard, "http://127.0.0.1:25/"),
            Err(Forbidden::Port(25))
        );
    }
}
