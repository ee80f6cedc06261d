use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::key::KEY;

/// Keys of thirty-two equal bytes.
fn line(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; KEY]))
}

fn ring(lines: &[String]) -> Keyring {
    Keyring::from_environment(&lines.join(" ")).unwrap()
}

#[test]
fn the_first_key_seals_and_all_open() {
    let before = ring(&[line("k1", 1)]);
    let after = ring(&[line("k2", 2), line("k1", 1)]);
    let old = before.seal(b"place", b"old").unwrap();
    assert_eq!(&after.open("k1", b"place", &old).unwrap()[..], b"old");
    assert_eq!(after.first_id(), Some("k2"));
    let new = after.seal(b"place", b"new").unwrap();
    assert_eq!(
        before.open("k2", b"place", &new).unwrap_err(),
        Unopened::UnknownKey("k2".into())
    );
    assert_eq!(
        after.open("k1", b"place", &new).unwrap_err(),
        Unopened::Damaged("k1".into())
    );
}

#[test]
fn a_line_that_is_no_key_is_refused_with_its_number_and_without_its_text() {
    let short = format!("k1:{}", STANDARD.encode([1; 16]));
    for (text, problem) in [
        ("k1", "no colon"),
        ("k 1:AAAA", "its id"),
        (":AAAA", "its id"),
        ("k1:secret!", "not base64"),
        (short.as_str(), "32 bytes"),
    ] {
        let text = format!("# comment\n\n{text}");
        let error = Keyring::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains(problem),
            "{error}"
        );
        assert!(!error.contains("secret!"), "{error}");
    }
    let twice = [line("k1", 1), line("k1", 2)].join("\n");
    let error = Keyring::parse(&twice).unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, format!("# first\n{}\n", line("k1", 1))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Keyring::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("640") && error.contains("chmod 600"),
        "{error}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!Keyring::read(&path).unwrap().is_empty());
    let missing = folder.path().join("none");
    let error = Keyring::read(&missing).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
}

#[test]
fn a_new_key_has_an_id_that_none_of_the_others_has() {
    let ring = ring(&[line("k7", 1), line("mine", 2), line("k12", 3)]);
    let ids = |ring: &Keyring| ring.ids().map(str::to_owned).collect::<Vec<_>>();
    let ring = ring.with_new_first().unwrap();
    assert_eq!(ids(&ring), ["k13", "k7", "mine", "k12"]);
    assert_eq!(ids(&ring.first_alone()), ["k13"]);
    let other = Keyring::from_environment(&line("prod", 1)).unwrap();
    assert_eq!(ids(&other.with_new_first().unwrap()), ["k1", "prod"]);
}

#[test]
fn what_is_written_is_read_again() {
    let made = Keyring::new_one().unwrap().with_new_first().unwrap();
    let read = Keyring::parse(&made.lines()).unwrap();
    let sealed = made.seal(b"place", b"text").unwrap();
    assert_eq!(&read.open("k2", b"place", &sealed).unwrap()[..], b"text");
    let other = Keyring::new_one().unwrap();
    assert!(*other.lines() != *Keyring::new_one().unwrap().lines());
}

#[test]
fn a_ring_does_not_show_its_keys() {
    let shown = format!("{:?}", ring(&[line("k1", 1)]));
    assert!(shown.contains("k1") && !shown.contains("AQEB"), "{shown}");
}
