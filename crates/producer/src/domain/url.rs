//! The URL of a webhook, in one form however it was written, so that the same place
//! is one destination.

use super::text::Invalid;

/// The longest URL, in characters.
const LONGEST: usize = 2048;

/// A URL that requests can be sent to, split where its host ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebUrl {
    /// Scheme and authority, in lower case and without the scheme's own port.
    pub(super) origin: String,
    /// Path and query, from the `/` on.
    pub(super) path: String,
}

impl WebUrl {
    /// Reads an absolute URL. Whether it may be called is for whoever calls it.
    pub(super) fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let refuse = |problem: &str| {
            Err(Invalid {
                field,
                problem: problem.into(),
            })
        };
        if text.len() > LONGEST {
            return refuse("must have at most 2048 characters.");
        }
        // What is not ASCII is written as %XX, or as a xn-- name of a host.
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        if !text.bytes().all(is_plain) {
            return refuse("must be a URL in visible ASCII characters.");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("must be a URL such as https://example.org/hook.");
        };
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "https" => "443",
            "http" => "80",
            _ => return refuse("must begin with https:// or http://."),
        };
        if text.contains('#') {
            return refuse("must not have a fragment (#).");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return refuse("must not hold a user or a password.");
        }
        let Some((host, port)) = host_and_port(authority) else {
            return refuse("must name a host, as in https://example.org:8443/hook.");
        };
        let mut origin = format!("{scheme}://{host}").to_ascii_lowercase();
        if let Some(port) = port.filter(|port| *port != default_port) {
            origin.push(':');
            origin.push_str(port);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            origin,
            path: [slash, path].concat(),
        })
    }
}

/// The host, a name or an address (`[…]` for IPv6), and the port if one is given.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<std::net::Ipv6Addr>().ok()?;
            authority.split_at(end + 2)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let is_name = !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
            (is_name && (is_address || !ends_in_a_number(host))).then_some((host, port))?
        }
    };
    if port.is_empty() {
        return Some((host, None));
    }
    let digits = port.strip_prefix(':')?;
    let number: u16 = digits.parse().ok()?;
    // One way to write each port: no sign, no leading zero.
    (number > 0 && number.to_string() == digits).then_some((host, Some(digits)))
}

/// Whether some program would take the host for an IPv4 address in an old form: `127.1`,
/// `0x7f000001`, `2130706433`, `127.0.0.1.`. No name ends in a number
/// (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).
fn ends_in_a_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WebUrl, Invalid> {
        WebUrl::parse("address", text)
    }

    #[test]
    fn one_place_has_one_form() {
        for (text, origin, path) in [
            ("https://example.org", "https://example.org", "/"),
            ("https://example.org?a=b", "https://example.org", "/?a=b"),
            ("HTTPS://Example.ORG:443/A", "https://example.org", "/A"),
            ("http://example.org:80/", "http://example.org", "/"),
            ("http://example.org:443/", "http://example.org:443", "/"),
            (
                "https://[2001:DB8::1]:8443/x",
                "https://[2001:db8::1]:8443",
                "/x",
            ),
            (
                "http://127.0.0.1:8082/_mock",
                "http://127.0.0.1:8082",
                "/_mock",
            ),
        ] {
            let url = parse(text).unwrap();
            assert_eq!((&*url.origin, &*url.path), (origin, path), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_what_to_mend() {
        for (text, problem) in [
            ("", "such as"),
            ("example.org", "such as"),
            ("//example.org/", "such as"),
            ("ftp://example.org/", "https:// or http://"),
            ("file:///etc/passwd", "https:// or http://"),
            ("https://", "name a host"),
            ("https:///a", "name a host"),
            ("https://:443/", "name a host"),
            ("https://a:0/", "name a host"),
            ("https://a:080/", "name a host"),
            ("https://a:65536/", "name a host"),
            ("https://a:/", "name a host"),
            ("https://a:b/", "name a host"),
            ("https://[::1/", "name a host"),
            ("https://[::1]x/", "name a host"),
            ("https://[fe80::1%25eth0]/", "name a host"),
            ("https://a%2eb/", "name a host"),
            ("https://127.1/", "name a host"),
            ("https://127.0.0.1./", "name a host"),
            ("https://2130706433/", "name a host"),
            ("https://0x7f000001/", "name a host"),
            ("https://0X7F.1/", "name a host"),
            ("https://017700000001/", "name a host"),
            ("https://1.2.3.4.5/", "name a host"),
            ("https://example.0x/", "name a host"),
            ("https://user:password@example.org/", "user or a password"),
            ("https://example.org/#a", "fragment"),
            ("https://exämple.org/", "ASCII"),
            ("https://example.org/a b", "ASCII"),
            ("https://example.org\\@10.0.0.1/", "ASCII"),
            ("https://example.org/\r\nHost: a", "ASCII"),
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.problem.contains(problem), "{text:?}: {refusal}");
        }
        let long = format!("https://example.org/{}", "a".repeat(LONGEST));
        assert!(parse(&long).unwrap_err().problem.contains("2048"));
    }
}
