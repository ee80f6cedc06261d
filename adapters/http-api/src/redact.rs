//! Takes secrets out of what is logged, and makes the rest safe to print.
//!
//! A value is taken out for the name it goes by (a header, a JSON field, a query
//! parameter), or for what it looks like: a Slack token, a webhook's secret, an API token or
//! a bearer token.

use std::{borrow::Cow, fmt};

use axum::http::{HeaderMap, Uri};
use serde_json::Value;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// What, in a name, says that the value is a secret.
const TELLING: [&str; 9] = [
    "token",
    "secret",
    "passw",
    "authorization",
    "credential",
    "cookie",
    "api-key",
    "api_key",
    "apikey",
];

/// Whether what goes by this name is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|telling| name.contains(telling))
}

/// `text` without anything that looks like a token.
pub(crate) fn tokens(text: &str) -> Cow<'_, str> {
    let Some((mut start, mut end)) = find_token(text, 0) else {
        return Cow::Borrowed(text);
    };
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    loop {
        clean.push_str(&text[done..start]);
        clean.push_str(REDACTED);
        done = end;
        match find_token(text, done) {
            Some(next) => (start, end) = next,
            None => break,
        }
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// The first token at or after `from`: where it begins and ends.
///
/// Slack's begin with `xox`, a letter and `-` or `.`, or with `xapp-`
/// (<https://docs.slack.dev/authentication/tokens>); a bearer's alphabet is
/// token68 (<https://www.rfc-editor.org/rfc/rfc6750#section-2.1>).
fn find_token(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find_map(|start| {
        let rest = &bytes[start..];
        let begins = slack_prefix(rest)
            .or_else(|| secret_prefix(rest))
            .or_else(|| api_token_prefix(rest))
            .or_else(|| bearer_prefix(rest))?;
        let length = rest[begins..].iter().take_while(|b| in_token(**b)).count();
        (length > 0).then_some((start, start + begins + length))
    })
}

fn slack_prefix(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [x, o, x2, kind, b'-' | b'.', ..]
            if [*x, *o, *x2].eq_ignore_ascii_case(b"xox") && kind.is_ascii_alphabetic() =>
        {
            Some(5)
        }
        [head @ .., _] if head.len() >= 5 && head[..5].eq_ignore_ascii_case(b"xapp-") => Some(5),
        _ => None,
    }
}

/// A webhook's secret: <https://www.standardwebhooks.com/>.
fn secret_prefix(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(b"whsec_").then_some(6)
}

/// Our own, also one that is not whole; a word that ends in `en` goes on more shortly.
fn api_token_prefix(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"en_")?;
    let is_base64url = |b: &&u8| b.is_ascii_alphanumeric() || b"-_".contains(*b);
    (rest.iter().take_while(is_base64url).count() >= 32).then_some(3)
}

fn bearer_prefix(bytes: &[u8]) -> Option<usize> {
    let word = bytes.get(..6)?;
    if !word.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let spaces = bytes[6..].iter().take_while(|b| **b == b' ').count();
    (spaces > 0).then_some(6 + spaces)
}

fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// A request's URI without secrets.
pub(crate) fn uri(uri: &Uri) -> Cow<'_, str> {
    let Some(query) = uri.query() else {
        return tokens(uri.path());
    };
    let mut clean = tokens(uri.path()).into_owned();
    for (place, pair) in query.split('&').enumerate() {
        clean.push(if place == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => {
                clean.push_str(name);
                clean.push('=');
                clean.push_str(REDACTED);
            }
            _ => clean.push_str(&tokens(pair)),
        }
    }
    Cow::Owned(clean)
}

/// Headers on one line, `name: value` by name, without secrets.
pub(crate) fn headers(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(name.as_str());
        text.push_str(": ");
        if is_secret(name.as_str()) || value.is_sensitive() {
            text.push_str(REDACTED);
        } else {
            text.push_str(&tokens(&String::from_utf8_lossy(value.as_bytes())));
        }
    }
    text
}

/// A body without secrets: JSON, or JSON Lines. In anything else a secret could
/// not be told from the rest, so only the length is shown.
pub(crate) fn body(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    if let Some(whole) = json(bytes) {
        return whole;
    }
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    let clean: Option<Vec<String>> = lines.map(json).collect();
    match clean {
        Some(lines) => lines.join(" "),
        None => length(bytes.len()),
    }
}

/// What stands for a body that is not shown.
pub(crate) fn length(bytes: usize) -> String {
    format!("[{bytes} bytes]")
}

fn json(bytes: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    // A bare string or number has no name that tells what it is.
    if !value.is_object() && !value.is_array() {
        return None;
    }
    clean(&mut value);
    serde_json::to_string(&value).ok()
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = tokens(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => {
            let taken = std::mem::take(fields);
            *fields = taken.into_iter().map(clean_field).collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean_field((name, mut value): (String, Value)) -> (String, Value) {
    if is_secret(&name) && !value.is_null() {
        value = REDACTED.into();
    } else {
        clean(&mut value);
    }
    (tokens(&name).into_owned(), value)
}

/// Text for a log line: control characters, line and paragraph separators and
/// those that turn the writing direction are shown as escapes, so that nobody
/// writes lines of their own into the log.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut done = 0;
        for (place, symbol) in self.0.char_indices() {
            if is_misleading(symbol) {
                f.write_str(&self.0[done..place])?;
                write!(f, "{}", symbol.escape_default())?;
                done = place + symbol.len_utf8();
            }
        }
        f.write_str(&self.0[done..])
    }
}

fn is_misleading(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
