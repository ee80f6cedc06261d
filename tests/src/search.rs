//! Secrets, and the forms in which they might show.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use base64::{Engine, prelude::BASE64_STANDARD};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The secrets used, each for one place.
#[derive(Debug, Default)]
pub struct Search {
    secrets: Vec<(String, String)>,
    /// Keys of 32 bytes, which may also show as those.
    keys: Vec<(String, Vec<u8>)>,
}

impl Search {
    /// A new secret without a form that gives it away, with the characters that
    /// escaping changes.
    pub fn secret(&mut self, place: &str) -> String {
        self.add(
            place,
            format!("s\"e\\c<r>e+t/{:032x}=", rand::random::<u128>()),
        )
    }

    /// A new secret that looks like one of Slack's tokens.
    pub fn slack_token(&mut self) -> String {
        self.add(
            "where none belongs",
            format!("xoxb-{:032x}", rand::random::<u128>()),
        )
    }

    /// A new secret, in the form in which a URL carries it.
    pub fn percent_encoded_secret(&mut self, place: &str) -> String {
        percent_encoded(
            &self.secret(place),
            HEX.map(|digit| digit.to_ascii_uppercase()),
        )
    }

    /// A new secret as a part of what is sent in base64.
    pub fn in_base64(&mut self, place: &str) -> String {
        let secret = self.secret(place);
        base64(format!("user:{secret}").as_bytes(), STANDARD)
    }

    /// A new key, as a line of a file of keys.
    pub fn key(&mut self, place: &str, id: &str) -> String {
        let bytes: [u8; 32] = rand::random();
        let text = BASE64_STANDARD.encode(bytes);
        self.add(place, text.trim_end_matches('=').to_owned());
        self.keys.push((place.to_owned(), bytes.to_vec()));
        format!("{id}:{text}")
    }

    /// A new secret in the form of one of Slack's tokens.
    pub fn slack_token_of(&mut self, place: &str) -> String {
        self.add(place, format!("xoxb-{:032x}", rand::random::<u128>()))
    }

    /// A new secret in the form of a webhook's.
    pub fn webhook_secret(&mut self, place: &str) -> String {
        let random: [u8; 24] = rand::random();
        let text = BASE64_STANDARD.encode(random);
        self.add(place, text.clone());
        format!("whsec_{text}")
    }

    /// All secrets: the place of each and the secret.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.secrets.iter();
        all.map(|(place, secret)| (&**place, &**secret))
    }

    /// What somebody else has made, an API token or a password.
    pub fn made_elsewhere(&mut self, place: &str, secret: &str) {
        self.add(place, secret.to_owned());
    }

    fn add(&mut self, place: &str, secret: String) -> String {
        self.secrets.push((place.to_owned(), secret.clone()));
        secret
    }

    /// The places whose secrets are in `text`, and in which form.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (place, secret) in &self.secrets {
            // A secret's own part is in most forms of it: look there first.
            for (form, shape) in forms(secret) {
                if text.contains(&shape) {
                    found.push(format!("the secret of {place}, {form}"));
                    break;
                }
            }
        }
        found
    }
}

/// Looks for secrets in what may be large and no text.
#[derive(Debug)]
pub struct ByteSearch {
    patterns: AhoCorasick,
    names: Vec<String>,
}

impl ByteSearch {
    /// For all secrets of `search` in all their forms.
    pub fn of(search: &Search) -> Self {
        let (mut shapes, mut names) = (Vec::new(), Vec::new());
        for (place, secret) in &search.secrets {
            for (form, shape) in forms(secret) {
                shapes.push(shape.into_bytes());
                names.push(format!("the secret of {place}, {form}"));
            }
        }
        for (place, key) in &search.keys {
            shapes.push(key.clone());
            names.push(format!("the key of {place}, its bytes"));
            shapes.push(
                key.iter()
                    .flat_map(|b| format!("{b:02x}").into_bytes())
                    .collect(),
            );
            names.push(format!("the key of {place}, in hexadecimal"));
        }
        let patterns = AhoCorasick::new(shapes).expect("patterns");
        Self { patterns, names }
    }

    /// What is in these bytes.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let found = self.patterns.find_overlapping_iter(bytes);
        found
            .map(|one| self.names[one.pattern().as_usize()].clone())
            .collect()
    }

    /// What is in the files below `folder`, with the file's name. Files without data are
    /// passed over; so is what goes while it is looked at.
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for path in files_below(folder) {
            let Ok(bytes) = fs::read(&path) else { continue };
            let here = self.found_in(&bytes);
            found.extend(
                here.iter()
                    .map(|what| format!("{what}: {}", path.display())),
            );
        }
        found
    }
}

/// The files below a folder that have data.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return files;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => files.extend(files_below(&path)),
            Ok(found) if found.is_file() && found.blocks() > 0 => files.push(path),
            _ => {}
        }
    }
    files
}

/// The forms of a secret; a piece of 24 characters gives it away as the whole does.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let escaped = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let once = escaped(secret);
    let mut forms = vec![
        ("plain", secret.to_owned()),
        ("in part", core(secret).to_owned()),
        ("escaped as JSON", once.clone()),
        ("escaped twice", escaped(&once)),
        (
            "for debugging",
            format!("{secret:?}").trim_matches('"').to_owned(),
        ),
        (
            "percent-encoded",
            percent_encoded(secret, HEX.map(|digit| digit.to_ascii_uppercase())),
        ),
        ("percent-encoded", percent_encoded(secret, *HEX)),
        (
            "in hexadecimal",
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ),
    ];
    for alphabet in [STANDARD, URL_SAFE] {
        for whole in [secret, core(secret)] {
            forms.extend(
                in_base64(whole, alphabet)
                    .into_iter()
                    .map(|shape| ("in base64", shape)),
            );
        }
    }
    forms
}

/// The random part.
fn core(secret: &str) -> &str {
    let is_random = |piece: &&str| piece.len() >= 32;
    secret
        .split(['/', '-', '='])
        .find(is_random)
        .unwrap_or(secret)
}

fn percent_encoded(text: &str, digits: [u8; 16]) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(digits[usize::from(byte >> 4)]));
            encoded.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
    encoded
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Without padding.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(
                alphabet[(bits >> (18 - 6 * place) & 63) as usize],
            ));
        }
    }
    text
}

/// What base64 makes of a secret wherever it stands: after no, one or two bytes of
/// a group, without the characters that its neighbours have a part in.
fn in_base64(secret: &str, alphabet: &[u8; 64]) -> BTreeSet<String> {
    (0..3)
        .map(|before| {
            let whole = [&vec![0; before], secret.as_bytes()].concat();
            let text = base64(&whole, alphabet);
            let shared_before = [0, 2, 3][before];
            let shared_after = usize::from(whole.len() % 3 != 0);
            text[shared_before..text.len() - shared_after].to_owned()
        })
        .collect()
}

#[cfg(test)]
#[test]
fn a_secret_is_found_in_every_form() {
    let mut search = Search::default();
    let secret = search.secret("a test");
    let json = serde_json::json!({ "body": serde_json::json!({ "token": secret }).to_string() })
        .to_string();
    let mut texts = vec![
        format!("token={secret};"),
        serde_json::json!(secret).to_string(),
        json,
        format!("{secret:?}"),
        percent_encoded(&secret, *HEX),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for before in ["", "a", "ab", "user:"] {
        for after in ["", "x", "xy"] {
            let whole = format!("{before}{secret}{after}");
            texts.push(format!("Basic {}==", base64(whole.as_bytes(), STANDARD)));
            texts.push(base64(whole.as_bytes(), URL_SAFE));
        }
    }
    for text in texts {
        assert_eq!(search.found_in(&text).len(), 1, "{text}");
    }
    assert!(search.found_in("all is well").is_empty());
}

#[cfg(test)]
#[test]
fn base64_is_that_of_the_standard() {
    // RFC 4648, section 10.
    assert_eq!(
        ["f", "fo", "foo", "foobar"].map(|text| base64(text.as_bytes(), STANDARD)),
        ["Zg", "Zm8", "Zm9v", "Zm9vYmFy"]
    );
}

#[cfg(test)]
#[test]
fn a_planted_secret_is_found_in_a_file_in_every_form() {
    let mut search = Search::default();
    let secret = search.secret("a file");
    let line = search.key("keys", "k1");
    let key = BASE64_STANDARD.decode(&line[3..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a").join("b");
    fs::create_dir_all(&below).unwrap();
    let searching = ByteSearch::of(&search);
    assert_eq!(searching.found_below(folder.path()), [""; 0]);
    let noise = vec![0xff; 100_000];
    for (planted, place) in [
        (secret.clone().into_bytes(), "a file"),
        (serde_json::json!(secret).to_string().into_bytes(), "a file"),
        (percent_encoded(&secret, *HEX).into_bytes(), "a file"),
        (base64(secret.as_bytes(), STANDARD).into_bytes(), "a file"),
        (base64(secret.as_bytes(), URL_SAFE).into_bytes(), "a file"),
        (line.clone().into_bytes(), "keys"),
        (key, "keys"),
    ] {
        let whole = [&noise[..], &planted, &noise].concat();
        fs::write(below.join("file"), whole).unwrap();
        let found = searching.found_below(folder.path());
        assert!(
            found.iter().any(|one| one.contains(place)),
            "{place}: {found:?}"
        );
    }
}
