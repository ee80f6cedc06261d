//! What is sealed: only what was sealed for its place is opened, and rings of keys.
#![no_main]

use std::sync::LazyLock;

use common::wire::Hidden;
use kafka::{Field, Format, Keyring, Sealer};
use libfuzzer_sys::fuzz_target;

static SEALER: LazyLock<Sealer> =
    LazyLock::new(|| sealer("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
/// Seals nothing here: libFuzzer finds what is sealed in this process, and tries it.
static RECIPIENT: LazyLock<Sealer> =
    LazyLock::new(|| sealer("k1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="));

fn sealer(ring: &str) -> Sealer {
    let ring = Keyring::from_environment(ring).expect("a ring");
    Sealer::new(Format::Sealed, ring).expect("a sealer")
}

fuzz_target!(|input: (&str, u16, u8)| {
    let (text, place, change) = input;
    let (field, other) = (Field::new("1-0", "token"), Field::new("1-1", "token"));
    // Nobody without the key makes what opens.
    assert!(
        RECIPIENT
            .open(Some("k1"), &field, &Hidden::new(text))
            .is_err()
    );
    let sealed = SEALER.seal(&field, text);
    let opened = SEALER.open(Some("k1"), &field, &sealed).expect("ours");
    assert_eq!(opened.expose(), text);
    assert!(SEALER.open(Some("k1"), &other, &sealed).is_err());
    let mut changed: Vec<u8> = sealed.expose().bytes().collect();
    let place = usize::from(place) % changed.len();
    changed[place] = change % 128;
    let changed = String::from_utf8(changed).expect("ASCII");
    let opened = SEALER.open(Some("k1"), &field, &Hidden::new(&*changed));
    assert_eq!(opened.is_ok(), changed == sealed.expose());
    let _ = Keyring::from_environment(text);
});
