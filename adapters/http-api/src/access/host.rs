//! Whether a request comes from this machine, and from no web page of somebody else.
//!
//! An API that asks for no token is reached by every program of the machine, and by a
//! browser on behalf of any page that is open in it. A page reaches it under a name of its
//! own that it makes mean 127.0.0.1 (DNS rebinding): then `Host` has that name. Or it sends
//! a request to 127.0.0.1 whose answer it may not read, though it is carried out: then
//! `Origin` has the page's. Browsers set both, whatever the page does.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Authority},
};

use crate::client;

/// What a proxy says of who asked it. A proxy on this machine asks from a loopback address
/// and by a loopback name, for whomever.
const PASSED_ON: [HeaderName; 2] = [HeaderName::from_static("forwarded"), client::FORWARDED_FOR];

/// Whether its address, where that is known, and its names say that it comes from this
/// machine, from no foreign page and through no proxy. A request without names is no
/// browser's.
pub(super) fn is_of_this_machine(request: &Request) -> bool {
    let headers = request.headers();
    let is_near = client::address_of(request.extensions()).is_none_or(|from| from.is_loopback());
    if !is_near || PASSED_ON.iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let named = match request.uri().authority() {
        // An absolute URI counts instead of the header
        // (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2>).
        Some(authority) => is_loopback(authority.host()),
        None => all(headers, header::HOST, host_is_loopback),
    };
    named && all(headers, header::ORIGIN, origin_is_loopback)
}

fn all(
    headers: &HeaderMap,
    name: header::HeaderName,
    is_fine: impl Fn(&HeaderValue) -> bool,
) -> bool {
    headers.get_all(name).iter().all(is_fine)
}

fn host_is_loopback(value: &HeaderValue) -> bool {
    let authority = value.to_str().ok().and_then(|text| text.parse().ok());
    authority.is_some_and(|authority: Authority| is_loopback(authority.host()))
}

/// `null`, which a sandboxed page or a file sends, is foreign.
fn origin_is_loopback(value: &HeaderValue) -> bool {
    let origin = value.to_str().ok().and_then(|text| text.parse().ok());
    origin.is_some_and(|origin: Uri| origin.scheme().is_some() && uri_is_loopback(&origin))
}

fn uri_is_loopback(uri: &Uri) -> bool {
    uri.host().is_some_and(is_loopback)
}

/// `localhost`, a name below it, which no DNS server is asked for
/// (<https://www.rfc-editor.org/rfc/rfc6761#section-6.3>), or a loopback address.
fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_taken(uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_of_this_machine(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn this_machine_goes_by_loopback_names_with_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "api.localhost:80",
            "127.0.0.1",
            "127.8.9.10:8080",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_taken("/", &[("host", host)]), "{host}");
        }
        assert!(is_taken("/", &[]));
    }

    #[test]
    fn a_page_under_a_name_of_its_own_is_foreign() {
        for host in [
            "attacker.example",
            "attacker.example:8080",
            "127.0.0.1.attacker.example",
            "localhost.attacker.example",
            "notlocalhost",
            "10.0.0.1",
            "0.0.0.0:8080",
            "127.1",
            "2130706433",
            "localhost@attacker.example",
            "attacker.example#localhost",
            "",
        ] {
            assert!(!is_taken("/", &[("host", host)]), "{host:?}");
        }
        assert!(!is_taken(
            "http://attacker.example/",
            &[("host", "localhost")]
        ));
        let both = [("host", "localhost"), ("host", "attacker.example")];
        assert!(!is_taken("/", &both));
    }

    #[test]
    fn what_a_proxy_passes_on_is_of_elsewhere_though_the_proxy_is_here() {
        for header in [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=_x")] {
            assert!(
                !is_taken("/", &[("host", "localhost"), header]),
                "{header:?}"
            );
        }
        let from = |address: [u8; 4]| {
            let from = client::ClientAddress(IpAddr::from(address));
            let request = Request::builder().extension(from).uri("/");
            is_of_this_machine(&request.body(Body::empty()).unwrap())
        };
        assert!(from([127, 0, 0, 1]));
        assert!(!from([192, 0, 2, 1]));
    }

    #[test]
    fn a_page_of_another_origin_is_foreign_though_it_asks_for_localhost() {
        let from = |origin| is_taken("/", &[("host", "localhost"), ("origin", origin)]);
        assert!(from("http://127.0.0.1:8080"));
        assert!(from("http://localhost:3000"));
        for origin in [
            "https://attacker.example",
            "null",
            "",
            "file://",
            "localhost",
        ] {
            assert!(!from(origin), "{origin:?}");
        }
    }
}
