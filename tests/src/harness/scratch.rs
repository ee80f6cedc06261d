//! Folders that go when the test has passed.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// What all their names begin with.
const PREFIX: &str = "error-notifier-test-";
/// In a folder that is kept to be looked at.
const KEPT: &str = "KEPT";
/// Younger folders may be ones that their owner has not locked yet.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder on the disk that the build is on: `/tmp` may be memory, which knows
/// no power cut. Where the test fails it is kept, with the logs in it. What a
/// killed test has left goes with a later one.
#[derive(Debug)]
pub struct Scratch {
    folder: Option<TempDir>,
    /// Says to others that the folder is in use, until this process ends.
    _lock: File,
}

impl Scratch {
    /// A new folder.
    pub fn new(name: &str) -> Self {
        let parent = build_folder().map_or_else(env::temp_dir, |target| target.join("tmp"));
        fs::create_dir_all(&parent).expect("the target folder can be written");
        Self::within(&parent, name)
    }

    /// A new folder in `parent`.
    pub fn within(parent: &Path, name: &str) -> Self {
        sweep(parent);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{name}-"))
            .tempdir_in(parent);
        let folder =
            folder.unwrap_or_else(|error| panic!("no folder in {}: {error}", parent.display()));
        let lock = File::open(folder.path()).expect("a new folder can be read");
        lock.lock().expect("a folder can be locked");
        Self {
            folder: Some(folder),
            _lock: lock,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder
            .as_ref()
            .map(TempDir::path)
            .unwrap_or_else(|| Path::new("."))
    }

    /// The path of something in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            // Without the mark it is kept until a later test begins.
            let _ = File::create(folder.path().join(KEPT));
            eprintln!("logs and data are kept in {}", folder.keep().display());
        }
    }
}

/// Cargo's target folder; `None` where the build is not from there.
pub fn build_folder() -> Option<PathBuf> {
    let this = env::current_exe().expect("a running program has a path");
    this.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map(Path::to_owned)
}

/// Removes the folders whose owner is gone.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_ours && is_abandoned(&entry.path()) {
            // Where it fails, somebody else is at it, or may not: no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    let Ok(file) = File::open(folder) else {
        return false;
    };
    let is_old = file
        .metadata()
        .ok()
        .filter(|about| about.is_dir())
        .and_then(|about| about.modified().ok()?.elapsed().ok())
        .is_some_and(|age| age > YOUNG);
    is_old && !folder.join(KEPT).exists() && file.try_lock().is_ok()
}
