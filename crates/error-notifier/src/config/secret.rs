//! Settings that hold secrets: shown without them, wherever settings are shown.

use std::str::FromStr;

use common::Secret;

/// What stands where a secret was left out.
const HIDDEN: &str = "…";

/// A value that is, or may hold, a secret: taken as it is and read later, since an error
/// of the command line would repeat it.
#[derive(Clone, Debug)]
pub(crate) struct SecretText(Secret);

impl SecretText {
    /// The text.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for SecretText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Secret::new(text)))
    }
}

/// The value of the setting `key` as it may be shown.
pub(crate) fn shown(key: &str, value: &str) -> String {
    match key {
        "database-url" => without_password(value),
        "kafka-keys" | "secret-keys" | "api-token" => HIDDEN.to_owned(),
        "kafka-properties" => without_secret_properties(value),
        _ => value.to_owned(),
    }
}

/// A URL without the password in it.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return HIDDEN.to_owned();
    };
    let authority_ends = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_ends);
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{name}:{HIDDEN}@{host}")
        }
        None => authority.to_owned(),
    };
    // A password may also stand in the query.
    let path = path.split('?').next().unwrap_or_default();
    format!("{scheme}://{shown}{path}")
}

/// Properties whose names do not say that they are harmless are shown by name alone.
fn without_secret_properties(lines: &str) -> String {
    let shown = lines.lines().map(|line| match line.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => line.to_owned(),
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Whether the property of librdkafka of that name holds a secret.
/// <https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md>
fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "oauthbearer.config", "jaas"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        let url = "postgres://ann:s3:cr@t@db:5432/alerts?password=x";
        assert_eq!(
            shown("database-url", url),
            "postgres://ann:…@db:5432/alerts"
        );
        assert_eq!(
            shown("database-url", "postgres://db/alerts"),
            "postgres://db/alerts"
        );
    }

    #[test]
    fn secret_properties_are_shown_by_name_alone() {
        let lines = "security.protocol=SASL_SSL\nsasl.password=hush\nssl.key.pem=abc";
        assert_eq!(
            shown("kafka-properties", lines),
            "security.protocol=SASL_SSL\nsasl.password=…\nssl.key.pem=…"
        );
        assert_eq!(shown("kafka-keys", "k1:abc"), "…");
        assert_eq!(shown("secret-keys", "k1:abc"), "…");
        assert_eq!(shown("api-token", "en_abc"), "…");
        assert_eq!(shown("listen", "1.2.3.4:5"), "1.2.3.4:5");
    }
}
