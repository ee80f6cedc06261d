use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

/// Keys of thirty-two equal bytes.
fn line(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; KEY]))
}

fn ring(lines: &[String]) -> Keyring {
    Keyring::from_environment(&lines.join(" ")).unwrap()
}

fn sealer(lines: &[String]) -> Sealer {
    Sealer::new(Format::Sealed, ring(lines)).unwrap()
}

fn token() -> Field {
    Field::new("11111111-1111-1111-1111-111111111111", "token")
}

#[test]
fn what_was_sealed_is_opened_and_does_not_hold_the_text() {
    let sealer = sealer(&[line("k1", 1)]);
    let sealed = sealer.seal(&token(), "xoxb-secret");
    assert!(!sealed.expose().contains("xoxb"));
    assert_ne!(
        sealed.expose(),
        sealer.seal(&token(), "xoxb-secret").expose()
    );
    let opened = sealer.open(sealer.key_id(), &token(), &sealed).unwrap();
    assert_eq!(opened.expose(), "xoxb-secret");
}

#[test]
fn after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() {
    let before = sealer(&[line("k1", 1)]);
    let after = sealer(&[line("k2", 2), line("k1", 1)]);
    let old = before.seal(&token(), "old");
    assert_eq!(
        after.open(Some("k1"), &token(), &old).unwrap().expose(),
        "old"
    );
    assert_eq!(after.key_id(), Some("k2"));
    let new = after.seal(&token(), "new");
    assert_eq!(
        before.open(Some("k2"), &token(), &new).unwrap_err(),
        Unopened::UnknownKey("k2".into())
    );
}

#[test]
fn a_sealed_text_cannot_be_moved_to_another_field_or_record() {
    let sealer = sealer(&[line("k1", 1)]);
    let sealed = sealer.seal(&token(), "text");
    for other in [
        Field::new("11111111-1111-1111-1111-111111111111", "message"),
        Field::new("22222222-2222-2222-2222-222222222222", "token"),
    ] {
        assert_eq!(
            sealer.open(Some("k1"), &other, &sealed).unwrap_err(),
            Unopened::Damaged("k1".into())
        );
    }
}

#[test]
fn a_text_that_was_changed_is_not_opened() {
    let sealer = sealer(&[line("k1", 1)]);
    let mut bytes = STANDARD
        .decode(sealer.seal(&token(), "text").expose())
        .unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let changed = Hidden::new(STANDARD.encode(&bytes));
        assert!(sealer.open(Some("k1"), &token(), &changed).is_err(), "{at}");
        bytes[at] ^= 1;
    }
    for broken in ["", "AAAA", "not base64!"] {
        let broken = Hidden::new(broken);
        assert!(sealer.open(Some("k1"), &token(), &broken).is_err());
    }
}

#[test]
fn the_plain_format_seals_nothing_and_opens_what_is_sealed() {
    let sealed = sealer(&[line("k1", 1)]).seal(&token(), "text");
    let plain = Sealer::new(Format::Plain, ring(&[line("k1", 1)])).unwrap();
    assert_eq!(plain.key_id(), None);
    assert_eq!(plain.seal(&token(), "text").expose(), "text");
    assert_eq!(
        plain.open(Some("k1"), &token(), &sealed).unwrap().expose(),
        "text"
    );
    let without = Sealer::new(Format::Plain, Keyring::default()).unwrap();
    assert_eq!(
        without
            .open(None, &token(), &Hidden::new("text"))
            .unwrap()
            .expose(),
        "text"
    );
}

#[test]
fn the_sealed_format_without_a_key_is_refused_and_the_settings_are_named() {
    let error = Sealer::new(Format::Sealed, Keyring::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(names::KEY_FILE) && text.contains(names::KEYS),
        "{text}"
    );
}

#[test]
fn a_lanes_key_tells_lanes_apart_and_changes_with_the_key_alone() {
    let one = sealer(&[line("k1", 1)]);
    let again = sealer(&[line("other-id", 1)]);
    let other = sealer(&[line("k1", 2)]);
    let key = one.lane_key(DestinationId(7));
    assert_eq!(key.len(), 32);
    assert_eq!(key, again.lane_key(DestinationId(7)));
    assert_ne!(key, one.lane_key(DestinationId(8)));
    assert_ne!(key, other.lane_key(DestinationId(7)));
    // Durable: other subscribers may know lanes by it.
    assert_eq!(key, "17505a59a9b373517f26fdae5de107f8");
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
        let error = Keyring::parse(&text, names::KEY_FILE)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains(problem),
            "{error}"
        );
        assert!(!error.contains("secret!"), "{error}");
    }
    let twice = [line("k1", 1), line("k1", 2)].join("\n");
    assert!(
        Keyring::parse(&twice, names::KEYS)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
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
    let missing = Keyring::read(&folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains(names::KEY_FILE));
}

#[test]
fn neither_ring_nor_sealer_shows_a_key() {
    let sealer = sealer(&[line("k1", 1)]);
    let shown = format!("{sealer:?}");
    assert!(shown.contains("k1") && !shown.contains("AQEB"), "{shown}");
}
