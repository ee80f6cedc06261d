//! The URL of a database, and how the connection to it is secured.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// How long a connection may take to be made, its TLS and its log-in included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom a server's certificate has to convince, as libpq's `sslmode` says
/// (<https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nobody: the connection is encrypted, with whoever answers. `prefer`, `require`.
    Nothing,
    /// It was issued by an authority that is trusted. `verify-ca`, and `require` with a
    /// root certificate.
    Authority,
    /// And it names the host. `verify-full`.
    AuthorityAndHost,
}

/// Where a database is and how it is spoken to. Shown without its password.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) config: Config,
    pub(crate) verify: Verify,
    /// The file of trusted authorities; `None` for the system's.
    pub(crate) roots: Option<PathBuf>,
    place: String,
}

/// Why a URL is none of a database. Repeats nothing of it, since any part may be the
/// password of a URL that was mistyped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not begin as one.
    #[error(
        "must be a URL such as postgres://user:password@host:5432/database?sslmode=verify-full"
    )]
    NotAUrl,
    /// It names no host.
    #[error("must name a host, as in postgres://user:password@host:5432/database")]
    NoHost,
    /// One of its parts cannot be read.
    #[error(
        "cannot be read: write special characters of the user and the password as %XX, the port \
         as a number, and after the `?` only what PostgreSQL's clients know, each as name=value"
    )]
    Unreadable,
    /// `sslmode` has another value.
    #[error("has an unknown sslmode: choose disable, prefer, require, verify-ca or verify-full")]
    SslMode,
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    /// Reads `postgres://user:password@host:port/database?name=value…`, as libpq does
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>).
    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UrlError::NotAUrl);
        }
        let (base, mut options) = Options::split(text);
        let mode = options.take("sslmode")?;
        let roots = options.take("sslrootcert")?;
        let roots = roots.filter(|name| name != "system").map(PathBuf::from);
        let (ssl_mode, verify) = match mode.as_deref() {
            None | Some("prefer") => (SslMode::Prefer, Verify::Nothing),
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            Some("require") if roots.is_some() => (SslMode::Require, Verify::Authority),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") => (SslMode::Require, Verify::Authority),
            Some("verify-full") => (SslMode::Require, Verify::AuthorityAndHost),
            Some(_) => return Err(UrlError::SslMode),
        };
        let url = options.join(base);
        let mut config: Config = url.parse().map_err(|_| UrlError::Unreadable)?;
        let [_, ..] = config.get_hosts() else {
            return Err(UrlError::NoHost);
        };
        let on_this_machine = |host: &Host| matches!(host, Host::Unix(_));
        // A Unix socket has no TLS and needs none; libpq ignores sslmode there too.
        config.ssl_mode(match config.get_hosts().iter().all(on_this_machine) {
            true => SslMode::Disable,
            false => ssl_mode,
        });
        options.defaults(&mut config);
        Ok(Self {
            place: place(&config),
            config,
            verify,
            roots,
        })
    }
}

impl DatabaseUrl {
    /// Host, port and database, for people to read.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.place)
    }
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    match config.get_dbname() {
        Some(database) => format!("{hosts}/{database}"),
        None => hosts,
    }
}

/// What follows the `?`, each still in its %-form.
struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn split(text: &'a str) -> (&'a str, Self) {
        // A `?` before the `@` is the password's.
        let after_password = text.find('@').map_or(0, |at| at + 1);
        let Some(question) = text[after_password..].find('?') else {
            return (text, Self(Vec::new()));
        };
        let (base, options) = text.split_at(after_password + question);
        let options = options[1..].split('&').filter(|one| !one.is_empty());
        let pair = |one: &'a str| one.split_once('=').unwrap_or((one, ""));
        (base, Self(options.map(pair).collect()))
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, UrlError> {
        let Some(place) = self.0.iter().position(|(known, _)| *known == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(place);
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| UrlError::Unreadable)?;
        Ok(Some(value.into_owned()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    fn join(&self, base: &str) -> String {
        let options = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let options = options.collect::<Vec<_>>().join("&");
        format!("{base}?{options}")
    }

    /// What holds unless the URL says otherwise: a connection whose other end is gone
    /// without a word is noticed within half a minute.
    fn defaults(&self, config: &mut Config) {
        if !self.has("connect_timeout") {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if !self.has("keepalives_idle") {
            config.keepalives_idle(Duration::from_secs(10));
        }
        if !self.has("keepalives_interval") {
            config.keepalives_interval(Duration::from_secs(5));
        }
        if !self.has("keepalives_retries") {
            config.keepalives_retries(3);
        }
        if !self.has("tcp_user_timeout") {
            config.tcp_user_timeout(Duration::from_secs(25));
        }
        if !self.has("application_name") {
            config.application_name("error-notifier");
        }
        let settings = config.get_options().unwrap_or_default();
        config.options(format!("{SESSION} {settings}").trim_end().to_owned());
    }
}

/// What every session is set to; those of the URL come after, and win. No statement and
/// no lock is waited for without an end, and a database set to another isolation does not
/// change what the statements here mean.
const SESSION: &str = "-c default_transaction_isolation=read\\ committed \
     -c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DatabaseUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_shown_as_host_port_and_database() {
        for (text, place) in [
            ("postgres://ann:secret@db/errors", "db:5432/errors"),
            (
                "postgresql://db:6543/errors?connect_timeout=3",
                "db:6543/errors",
            ),
            ("postgres://ann@[::1]:6543/errors", "[::1]:6543/errors"),
            ("postgres://a,b:1/errors", "a:5432,b:1/errors"),
            ("postgres://ann@%2Frun%2Fpg/errors", "/run/pg:5432/errors"),
            ("postgres://db", "db:5432"),
        ] {
            assert_eq!(parse(text).place(), place, "{text}");
            assert_eq!(
                format!("{:?}", parse(text)),
                format!("DatabaseUrl({place})")
            );
        }
    }

    #[test]
    fn sslmode_means_what_it_means_to_libpq() {
        for (options, mode, verify) in [
            ("", SslMode::Prefer, Verify::Nothing),
            ("?sslmode=disable", SslMode::Disable, Verify::Nothing),
            ("?sslmode=prefer", SslMode::Prefer, Verify::Nothing),
            ("?sslmode=require", SslMode::Require, Verify::Nothing),
            (
                "?sslmode=require&sslrootcert=/a.pem",
                SslMode::Require,
                Verify::Authority,
            ),
            ("?sslmode=verify-ca", SslMode::Require, Verify::Authority),
            (
                "?keepalives=1&sslmode=verify-full",
                SslMode::Require,
                Verify::AuthorityAndHost,
            ),
        ] {
            let url = parse(&format!("postgres://db/errors{options}"));
            assert_eq!(url.config.get_ssl_mode(), mode, "{options}");
            assert_eq!(url.verify, verify, "{options}");
        }
        let unix = parse("postgres://%2Frun%2Fpg/errors?sslmode=require");
        assert_eq!(unix.config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn the_file_of_authorities_is_the_urls_or_the_systems() {
        let roots = |options| parse(&format!("postgres://db/errors?{options}")).roots;
        assert_eq!(
            roots("sslrootcert=%2Fetc%2Fa.pem"),
            Some("/etc/a.pem".into())
        );
        assert_eq!(roots("sslrootcert=system"), None);
        assert_eq!(roots("sslmode=verify-full"), None);
    }

    #[test]
    fn what_the_url_says_of_the_session_wins() {
        let url =
            parse("postgres://db/errors?options=-c%20statement_timeout%3D1s&connect_timeout=2");
        let options = url.config.get_options().unwrap();
        assert!(options.starts_with(SESSION) && options.ends_with("-c statement_timeout=1s"));
        let timeout = url.config.get_connect_timeout();
        assert_eq!(timeout, Some(&Duration::from_secs(2)));
    }

    #[test]
    fn a_refusal_says_what_to_mend_and_repeats_nothing() {
        for (text, refusal) in [
            ("", UrlError::NotAUrl),
            ("mysql://ann:secret@db/errors", UrlError::NotAUrl),
            ("host=db password=secret", UrlError::NotAUrl),
            ("postgres:///errors", UrlError::NoHost),
            ("postgres://ann:secret@db:x/errors", UrlError::Unreadable),
            ("postgres://ann@db/errors?secret", UrlError::Unreadable),
            ("postgres://ann@db/errors?secret=1", UrlError::Unreadable),
            ("postgres://ann@db/errors?sslmode=secret", UrlError::SslMode),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error, refusal, "{text:?}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{text:?}");
        }
    }
}
