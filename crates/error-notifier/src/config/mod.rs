//! Configuration: every setting once, in [`settings`].
//!
//! A setting is a field with `#[arg(long, env = "ERROR_NOTIFIER_…")]`. That one
//! line makes it a flag, an environment variable and a key of the TOML file
//! that `--config` names. The key is the flag's name without its dashes
//! (`--data-dir` is `data-dir`). A flag comes before the environment, the
//! environment before the file, the file before the default.
//!
//! Properties of librdkafka have one setting, `--kafka-properties`, and in the file a
//! table `[kafka]`.
//!
//! A file may be shared by several commands: each takes the keys that it has,
//! and a key that no command has is refused. An argument of one call (a
//! target, a token, `--force`) is not a setting and has no `env`.

pub(crate) mod file;
pub(crate) mod kafka;
pub(crate) mod line;
pub(crate) mod parse;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod values;
