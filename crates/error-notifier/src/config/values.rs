//! What the values of settings look like, and their bounds.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use channels::guard::{MalformedNetwork, Network};
use clap::ValueEnum;
use common::ChannelKind;
use hyper::Uri;
use jiff::{Span, SpanRelativeTo, tz::TimeZone};
use producer::domain::OpsTarget;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// How fast one destination is written to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Messages a second: finite, above 0, at most 1,000,000.
    PerSecond(f64),
    /// As fast as the destination answers.
    Unlimited,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::Unlimited);
        }
        match text.parse::<f64>() {
            Ok(pace) if pace > 0.0 && pace <= 1_000_000.0 => Ok(Self::PerSecond(pace)),
            _ => Err("write a number above 0 and up to 1000000, or `unlimited`".to_owned()),
        }
    }
}

/// An `http` or `https` URL that paths are added to; without a trailing slash,
/// query, fragment, or user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(String);

impl BaseUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text
            .parse()
            .map_err(|_| "write a URL such as https://host:8080".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("the URL must begin with http:// or https://".to_owned());
        }
        let authority = uri.authority().map(|a| a.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err("the URL must not hold a user or a password".to_owned());
        }
        if uri.host().is_none_or(str::is_empty) || authority.ends_with(':') {
            return Err("the URL must name a host, as in https://host:8080".to_owned());
        }
        if text.contains(['?', '#']) {
            return Err("the URL must not have a query or a fragment".to_owned());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Networks that webhooks may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Networks(Vec<Network>);

impl Networks {
    /// These, and the host of `address` where there are none.
    pub(crate) fn or_host(self, address: SocketAddr) -> Self {
        let host = address.ip().to_string().parse().ok();
        match host {
            Some(host) if self.0.is_empty() => Self(vec![host]),
            _ => self,
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Network> {
        self.0
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let networks = text.split(',').map(|network| network.trim().parse());
        let networks: Result<_, MalformedNetwork> = networks.collect();
        networks.map(Self).map_err(|error| error.to_string())
    }
}

/// Kinds of channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kinds(Vec<ChannelKind>);

impl Kinds {
    /// All there are, but for these.
    pub(crate) fn others(&self) -> Vec<ChannelKind> {
        let all = [ChannelKind::SLACK, ChannelKind::WEBHOOK].into_iter();
        all.filter(|kind| !self.0.contains(kind)).collect()
    }
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let kinds = text
            .split(',')
            .map(|kind| match &*kind.trim().to_ascii_lowercase() {
                "slack" => Ok(ChannelKind::SLACK),
                "webhook" => Ok(ChannelKind::WEBHOOK),
                _ => Err("expected `slack`, `webhook`, `slack,webhook` or `none`".to_owned()),
            });
        kinds.collect::<Result<_, _>>().map(Self)
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(pub(crate) TimeZone);

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = |_| "expected a name of the IANA database: Asia/Seoul, UTC, …".to_owned();
        TimeZone::get(text).map(Self).map_err(unknown)
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// How much of each request and response is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogHttp {
    /// Nothing
    Off,
    /// One line a request
    Line,
    /// The line, headers and bodies, secrets redacted
    Full,
}

/// A filter of log lines that tracing-subscriber's `EnvFilter` understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let hint = || "write a level (info) or a filter (info,consumer=debug)".to_owned();
        // `EnvFilter` takes a bare word for a module, so that a mistyped level
        // would silence everything.
        let bare_words_are_levels = text
            .split(',')
            .filter(|part| !part.contains(['=', '[', ']', '{', '}']))
            .all(|part| LEVELS.contains(&part.trim().to_ascii_lowercase().as_str()));
        if !bare_words_are_levels || tracing_subscriber::EnvFilter::try_new(text).is_err() {
            return Err(hint());
        }
        Ok(Self(text.to_owned()))
    }
}

/// `--retention`: one second to ten years of 365 days.
pub(crate) fn retention(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), 3_650 * DAY, "1s to 3650d")
}

/// `--digest-after`: one second to one hour.
pub(crate) fn digest_after(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), HOUR, "1s to 1h")
}

/// `--drain-delay`: nothing to one hour.
pub(crate) fn drain_delay(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, HOUR, "0s to 1h")
}

/// `--wait`: zero to one hour.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, HOUR, "0s to 1h")
}

/// `--timeout`: one millisecond to one hour.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(1), HOUR, "1ms to 1h")
}

/// `--history-max-bytes`: 1 MiB to 1 EiB, in bytes.
pub(crate) fn history_size(text: &str) -> Result<u64, String> {
    size(text, bytesize::MIB, bytesize::EIB, "1MiB to 1EiB")
}

/// `--keep-bytes`: 1 KiB to 1 TiB, in bytes.
pub(crate) fn keep_size(text: &str) -> Result<u64, String> {
    size(text, bytesize::KIB, bytesize::TIB, "1KiB to 1TiB")
}

/// An address to listen on: an IP address and a port, no host name.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

/// `--keep`: 1 to 1,000,000 messages.
pub(crate) fn keep(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err("write a whole number from 1 to 1000000".to_owned()),
    }
}

/// `--ops-target`: one target, well formed; whether anybody has the name may change.
pub(crate) fn ops_target(text: &str) -> Result<OpsTarget, String> {
    OpsTarget::parse(text).map_err(|error| {
        let hint = "write @user, @@group or @all, as in the target of an alert";
        format!("{hint}: the {error}")
            .trim_end_matches('.')
            .to_owned()
    })
}

/// `--gtid`: what the server would take as it is; anything else it replaces.
pub(crate) fn gtid(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=128).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 128 of A-Z a-z 0-9 . _ -".to_owned())
    }
}

/// `--key`: the bounds of the `Idempotency-Key` header, 1 to 255 visible
/// ASCII characters.
pub(crate) fn idempotency_key(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 255 visible ASCII characters, without spaces".to_owned())
    }
}

/// A size in bytes, with or without a unit.
fn size(text: &str, least: u64, most: u64, bounds: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize = text
        .parse()
        .map_err(|_| "write a size such as 500MB or 4GiB".to_owned())?;
    if (least..=most).contains(&size.as_u64()) {
        Ok(size.as_u64())
    } else {
        Err(format!("it must be from {bounds}"))
    }
}

/// A time with its unit, days being 24 hours; `0` needs no unit.
fn duration(text: &str, least: Duration, most: Duration, bounds: &str) -> Result<Duration, String> {
    let text = if text == "0" { "0s" } else { text };
    let span: Span = text
        .parse()
        .map_err(|_| "write a time with its unit, such as 7d, 12h, 30m, 10s or 500ms".to_owned())?;
    let outside = || format!("it must be from {bounds}");
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| outside())?;
    let length = Duration::try_from(length).map_err(|_| outside())?;
    if (least..=most).contains(&length) {
        Ok(length)
    } else {
        Err(outside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_with_digests_and_time_zones_are_known_by_name() {
        let others = |text: &str| text.parse::<Kinds>().map(|kinds| kinds.others());
        assert_eq!(others("slack"), Ok(vec![ChannelKind::WEBHOOK]));
        assert_eq!(others("Webhook, slack"), Ok(vec![]));
        assert_eq!(others("none").unwrap().len(), 2);
        assert!(others("slack,mail").is_err() && others("").is_err());
        assert!("Asia/Seoul".parse::<Zone>().is_ok());
        assert!("Asia/Nowhere".parse::<Zone>().is_err());
    }

    #[test]
    fn networks_are_none_or_a_list() {
        let networks = |text: &str| text.parse::<Networks>().map(|list| list.0.len());
        assert_eq!(networks("none"), Ok(0));
        assert_eq!(networks("10.0.0.0/8, fd00::/8"), Ok(2));
        for wrong in ["", "10.0.0.0/8,", "all", "10.0.0.1/8"] {
            assert!(networks(wrong).is_err(), "{wrong:?}");
        }
        let mockup = "127.0.0.1:8082".parse().unwrap();
        let allowed = "none".parse::<Networks>().unwrap().or_host(mockup);
        assert_eq!(allowed, "127.0.0.1".parse().unwrap());
        let own: Networks = "10.0.0.0/8".parse().unwrap();
        assert_eq!(own.clone().or_host(mockup), own);
    }

    #[test]
    fn a_pace_is_a_number_above_zero_or_unlimited() {
        assert_eq!("0.5".parse(), Ok(Pace::PerSecond(0.5)));
        assert_eq!("Unlimited".parse(), Ok(Pace::Unlimited));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "", "fast"] {
            assert!(wrong.parse::<Pace>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_base_url_is_http_or_https_with_a_host_and_loses_its_trailing_slash() {
        let url: BaseUrl = "http://[::1]:8082/prefix/".parse().unwrap();
        assert_eq!(url.as_str(), "http://[::1]:8082/prefix");
        for wrong in [
            "slack.com",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a/?q=1",
            "http://a/#f",
            "http://a:",
            "http://a b",
            "",
        ] {
            assert!(wrong.parse::<BaseUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mistyped_level_is_refused_instead_of_silencing_the_log() {
        for right in ["info", "WARN", "off", "info,consumer=debug", "hyper=off"] {
            assert!(right.parse::<LogFilter>().is_ok(), "{right}");
        }
        for wrong in ["inof", "", "info,verbose", "consumer=loud"] {
            assert!(wrong.parse::<LogFilter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(retention("7d"), Ok(7 * DAY));
        assert_eq!(retention("1d 12h"), Ok(DAY + 12 * HOUR));
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(drain_delay("0"), Ok(Duration::ZERO));
        for wrong in ["7", "-1h", "1y", "0s", "soon", "", "99999d"] {
            assert!(retention(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units_and_in_plain_bytes() {
        assert_eq!(history_size("4GiB"), Ok(4 << 30));
        assert_eq!(history_size("500MB"), Ok(500_000_000));
        assert_eq!(history_size("4294967296"), Ok(4 << 30));
        for wrong in ["0", "1KiB", "-5MB", "2EiB", "9999EiB", "big", ""] {
            assert!(history_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_is_warned_is_one_target_of_the_contracts_form() {
        assert_eq!(ops_target("@@on-call").unwrap().as_str(), "@@on-call");
        for wrong in ["", "ann", "@", "@ann,@ben", "@@few"] {
            let refusal = ops_target(wrong);
            // A name may hold a comma; nobody has this one, which is for later to say.
            assert_eq!(refusal.is_err(), wrong != "@ann,@ben", "{wrong:?}");
        }
        let refusal = ops_target("ann").unwrap_err();
        assert!(
            refusal.starts_with("write @user, @@group or @all"),
            "{refusal}"
        );
    }

    #[test]
    fn a_gtid_and_a_key_that_a_header_cannot_carry_are_refused() {
        assert!(gtid("a-B_9.").is_ok());
        assert!(gtid(&"x".repeat(129)).is_err());
        assert!(gtid("a b").is_err());
        assert!(idempotency_key("deploy-42/b").is_ok());
        assert!(idempotency_key("").is_err());
        assert!(idempotency_key("a\nb").is_err());
        assert!(idempotency_key(&"x".repeat(256)).is_err());
    }
}
