//! Texts that come from standard input or from a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use common::Secret;

use super::failure::Failure;

/// More than any text or token that the server takes.
const LONGEST: u64 = 1 << 20;

/// A Slack token and where it is read from.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct TokenSource {
    /// The user's Slack token, or - to read it from standard input, which
    /// keeps it out of the process list
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    token: Option<Secret>,

    /// File that holds the user's Slack token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl TokenSource {
    /// The token; `None` where none was given.
    pub(crate) fn read(self) -> Result<Option<Secret>, Failure> {
        read_secret("token", self.token, self.token_file)
    }
}

/// What a destination asks for, and where it is read from.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct CredentialSource {
    /// Slack token or webhook secret (whsec_…), or - to read it from standard input,
    /// which keeps it out of the process list
    #[arg(long, value_name = "CREDENTIAL", value_parser = secret)]
    credential: Option<Secret>,

    /// File that holds the Slack token or webhook secret
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
}

impl CredentialSource {
    /// The credential; `None` where none was given.
    pub(crate) fn read(self) -> Result<Option<Secret>, Failure> {
        read_secret("credential", self.credential, self.credential_file)
    }
}

fn read_secret(
    word: &str,
    given: Option<Secret>,
    path: Option<PathBuf>,
) -> Result<Option<Secret>, Failure> {
    let secret = match (given, path) {
        (Some(dash), _) if dash.expose() == "-" => Secret::new(stdin()?),
        (Some(secret), _) => secret,
        (None, Some(path)) => Secret::new(file(&path)?),
        (None, None) => return Ok(None),
    };
    if secret.expose().is_empty() {
        return Err(Failure::BadInput(format!("the {word} is empty")));
    }
    Ok(Some(secret))
}

/// Standard input as text, without the line end that ends it.
pub(crate) fn stdin() -> Result<String, Failure> {
    text(std::io::stdin().lock(), "standard input")
}

/// A file's bytes whole, or standard input's for `-`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    match read {
        Ok(()) => Ok(bytes),
        Err(error) => Err(unreadable(&path.display().to_string(), &error)),
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

fn file(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
    text(file, &name)
}

fn text(source: impl Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::BadInput(format!("{name} is longer than 1 MiB")));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Failure::BadInput(format!("{name} is not UTF-8 text")))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::BadInput(format!("cannot read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_the_one_line_end_that_ends_it() {
        assert_eq!(text(&b"a\n\nb\r\n"[..], "x").unwrap(), "a\n\nb");
        assert_eq!(text(&b"a\n\n"[..], "x").unwrap(), "a\n");
    }

    #[test]
    fn what_is_not_utf8_or_too_long_is_bad_input() {
        let long = vec![b'a'; 1 + (1 << 20)];
        for wrong in [&b"\xff"[..], &long] {
            assert!(matches!(text(wrong, "x"), Err(Failure::BadInput(_))));
        }
    }
}
