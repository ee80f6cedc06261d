use super::*;

/// Keys of thirty-two equal bytes.
fn line(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
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
fn a_sealer_does_not_show_its_keys() {
    let sealer = sealer(&[line("k1", 1)]);
    let shown = format!("{sealer:?}");
    assert!(shown.contains("k1") && !shown.contains("AQEB"), "{shown}");
}
