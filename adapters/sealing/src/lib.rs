//! Sealing: what whoever reads a disk, a backup or a topic must not see.
//!
//! | file | what is in it |
//! |---|---|
//! | `keyring.rs` | the keys: the first one seals, all of them open |
//! | `key.rs` | one key: AES-256-GCM, and keys derived of it |
//! | `file.rs` | the file that keys are kept in: read, made, and replaced as a whole |
//! | `vault.rs` | the keys of a running process, which may be rotated |
//! | `column.rs` | the durable format of a sealed column, and the place that it is bound to |
//! | `fingerprint.rs` | finding an equal secret without opening any |
//!
//! With random nonces one key is good for some four thousand million texts (NIST SP
//! 800-38D, 8.3): rotate it before.

mod column;
mod file;
mod fingerprint;
mod key;
mod keyring;
mod vault;

pub use column::Place;
pub use fingerprint::FingerprintKey;
pub use keyring::{KeyError, Keyring, Unopened};
pub use vault::{Vault, is_sealed_with};
