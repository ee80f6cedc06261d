use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::FingerprintKey;

fn place() -> Place {
    Place::new("credential", 1)
}

fn secret_of(vault: &Vault, sealed: &[u8]) -> Result<String, Unopened> {
    let opened = vault.open(&place(), sealed);
    opened.map(|secret| secret.expose().to_owned())
}

fn made() -> (tempfile::TempDir, PathBuf, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret-key");
    let vault = Vault::create(&path).unwrap();
    (folder, path, vault)
}

#[test]
fn a_made_file_is_its_owners_alone_and_is_read_again() {
    let (_folder, path, vault) = made();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let sealed = vault.seal(&place(), b"text");
    let again = Vault::of_file(&path).unwrap();
    assert_eq!(secret_of(&again, &sealed).unwrap(), "text");
}

#[test]
fn a_file_that_is_there_is_never_made_anew() {
    let (_folder, path, _vault) = made();
    let before = fs::read(&path).unwrap();
    assert!(matches!(
        Vault::create(&path),
        Err(KeyError::Unwritable { .. })
    ));
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn keys_without_a_key_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, "# nothing\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Vault::of_file(&path), Err(KeyError::Empty)));
    assert!(matches!(
        Vault::of_ring(Keyring::default()),
        Err(KeyError::Empty)
    ));
}

#[test]
fn a_rotated_key_seals_and_the_old_one_opens_until_it_is_dropped() {
    let (_folder, path, vault) = made();
    let old = vault.seal(&place(), b"old");
    assert_eq!(vault.add_key().unwrap().as_deref(), Some("k2"));
    let new = vault.seal(&place(), b"new");
    assert!(vault.is_current(&new) && !vault.is_current(&old));
    let between = Vault::of_file(&path).unwrap();
    assert_eq!(secret_of(&between, &old).unwrap(), "old");
    assert_eq!(secret_of(&between, &new).unwrap(), "new");

    assert_eq!(vault.drop_old_keys().unwrap(), ["k1"]);
    assert_eq!(vault.drop_old_keys().unwrap(), [""; 0]);
    let after = Vault::of_file(&path).unwrap();
    assert_eq!(secret_of(&after, &new).unwrap(), "new");
    assert_eq!(
        secret_of(&after, &old).unwrap_err(),
        Unopened::UnknownKey("k1".into())
    );
    // What is read at this moment may still be sealed with it.
    assert_eq!(secret_of(&vault, &old).unwrap(), "old");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_key_that_another_put_into_the_file_is_found_when_it_is_needed() {
    let (_folder, path, vault) = made();
    let other = Vault::of_file(&path).unwrap();
    other.add_key().unwrap();
    let sealed = other.seal(&place(), b"text");
    assert_eq!(secret_of(&vault, &sealed).unwrap(), "text");
}

#[test]
fn keys_of_the_environment_are_not_changed() {
    let ring = Keyring::from_environment("k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let vault = Vault::of_ring(ring.unwrap()).unwrap();
    assert_eq!(vault.add_key().unwrap(), None);
    assert_eq!(vault.drop_old_keys().unwrap(), [""; 0]);
    assert_eq!(vault.key_id(), "k1");
}

#[test]
fn a_fingerprint_stays_the_same_when_keys_are_rotated() {
    let (_folder, _path, vault) = made();
    let key = FingerprintKey::random().unwrap();
    let (one, other) = (Secret::new("one"), Secret::new("other"));
    let before = key.of_secret(&one);
    assert_ne!(before, key.of_secret(&other));
    vault.add_key().unwrap();
    let again = FingerprintKey::open(&vault, &key.sealed(&vault)).unwrap();
    assert_eq!(again.of_secret(&one), before);
    let foreign = FingerprintKey::random().unwrap();
    assert_ne!(foreign.of_secret(&one), before);
}
