//! A disk that forgets what was not synced, and may keep any part of the rest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::crash::{AfterKill, Prepare};

/// A disk writes this much at once, or not at all.
const SECTOR: usize = 512;

/// What a power cut leaves of what was written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing.
    Forgotten,
    /// Any sectors of it, in no order.
    Torn,
}

/// Where a data folder has its shadow.
fn shadow(data: &Path) -> PathBuf {
    data.with_extension("shadow")
}

/// Starts servers on such a disk; `library` is the shim
/// `unsynced`, which keeps account of what was synced.
pub fn forgetful(library: PathBuf) -> Prepare {
    Box::new(move |options| {
        let data = options.data().to_owned();
        for folder in [&data, &shadow(&data)] {
            fs::create_dir_all(folder).expect("a folder");
        }
        options
            .with_variable("LD_PRELOAD", &library)
            .with_variable("UNSYNCED_SHADOW", shadow(&data))
            .with_variable("UNSYNCED_ROOT", data)
    })
}

/// Cuts the power: makes of the data folder what the disk has.
pub fn cut(unsynced: Unsynced, seed: u64) -> AfterKill {
    let mut rng = StdRng::seed_from_u64(seed);
    Box::new(move |data| {
        let shadow = shadow(data);
        if unsynced == Unsynced::Torn {
            keep_some_sectors(data, &shadow, &mut rng);
        }
        fs::remove_dir_all(data).expect("the data folder goes");
        copy(&shadow, data);
    })
}

/// Adds to the shadow any sectors that were written and not synced.
fn keep_some_sectors(data: &Path, shadow: &Path, rng: &mut StdRng) {
    for entry in fs::read_dir(data).expect("a folder") {
        let name = entry.expect("a file").file_name();
        if name.to_string_lossy().ends_with("-shm") {
            continue;
        }
        let written = fs::read(data.join(&name)).expect("a file");
        // A name that was never synced may be on the disk too, or not.
        let Ok(mut kept) = fs::read(shadow.join(&name)) else {
            continue;
        };
        if rng.random_bool(0.5) {
            kept.resize(written.len(), 0);
        }
        for (old, new) in kept.chunks_mut(SECTOR).zip(written.chunks(SECTOR)) {
            if old.len() == new.len() && rng.random_bool(0.5) {
                old.copy_from_slice(new);
            }
        }
        fs::write(shadow.join(&name), kept).expect("a file");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let name = entry.expect("a file").file_name();
        fs::copy(from.join(&name), to.join(&name)).expect("a copy");
    }
}
