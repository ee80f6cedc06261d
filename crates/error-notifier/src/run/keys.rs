//! The keys that the settings name.

use std::sync::Arc;

use sealing::{KeyError, Keyring, Vault};

use crate::cli::failure::Failure;
use crate::config::settings::{KafkaSettings, SecretKeySettings};

const SECRET_KEY_FILE: &str = "--secret-key-file";
const SECRET_KEYS: &str = "ERROR_NOTIFIER_SECRET_KEYS";
const KAFKA_KEY_FILE: &str = "--kafka-key-file";
const KAFKA_KEYS: &str = "ERROR_NOTIFIER_KAFKA_KEYS";

/// The keys of what is in Kafka; `None` where none are named.
pub(crate) fn of_kafka(settings: &KafkaSettings) -> Result<Option<Keyring>, Failure> {
    match (&settings.kafka_key_file, &settings.kafka_keys) {
        (Some(path), _) => named(KAFKA_KEY_FILE, Keyring::read(path)).map(Some),
        (None, Some(keys)) => named(KAFKA_KEYS, Keyring::from_environment(keys.expose())).map(Some),
        (None, None) => Ok(None),
    }
}

/// The keys of what is stored; `None` where none are named.
pub(crate) fn of_secrets(settings: &SecretKeySettings) -> Result<Option<Arc<Vault>>, Failure> {
    let vault = match (&settings.secret_key_file, &settings.secret_keys) {
        (Some(path), _) => named(SECRET_KEY_FILE, Vault::of_file(path))?,
        (None, Some(keys)) => named(SECRET_KEYS, of_text(keys.expose()))?,
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(vault)))
}

/// The keys of what is stored in PostgreSQL: those of Kafka where no others are named, so
/// that there is one secret to hand out. What is sealed for one place does not open in
/// another, so they may be the same.
pub(crate) fn of_database(
    settings: &SecretKeySettings,
    kafka: &KafkaSettings,
) -> Result<Arc<Vault>, Failure> {
    if let Some(vault) = of_secrets(settings)? {
        return Ok(vault);
    }
    let vault = match (&kafka.kafka_key_file, &kafka.kafka_keys) {
        (Some(path), _) => named(KAFKA_KEY_FILE, Vault::of_file(path))?,
        (None, Some(keys)) => named(KAFKA_KEYS, of_text(keys.expose()))?,
        (None, None) => return Err(none_named()),
    };
    Ok(Arc::new(vault))
}

/// Nobody has said what to seal with.
pub(crate) fn none_named() -> Failure {
    Failure::BadInput(format!(
        "no key is named that users' tokens are sealed with in the database; give the same one to \
         every producer with {SECRET_KEY_FILE} or {SECRET_KEYS}: a line such as \
         \"k1:$(openssl rand -base64 32)\""
    ))
}

fn of_text(keys: &str) -> Result<Vault, KeyError> {
    Keyring::from_environment(keys).and_then(Vault::of_ring)
}

fn named<T>(setting: &str, read: Result<T, KeyError>) -> Result<T, Failure> {
    read.map_err(|error| Failure::BadInput(format!("{setting}: {error}")))
}
