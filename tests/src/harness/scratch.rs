//! Folders that go when the test has passed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use tempfile::TempDir;

/// A folder on the disk that the build is on: `/tmp` may be memory, which knows
/// no power cut. Where the test fails it is kept, with the logs in it.
#[derive(Debug)]
pub struct Scratch(Option<TempDir>);

impl Scratch {
    /// A new folder.
    pub fn new(name: &str) -> Self {
        let this = env::current_exe().expect("a running program has a path");
        let target = this
            .ancestors()
            .find(|folder| folder.join("CACHEDIR.TAG").exists());
        let parent = target.map_or_else(env::temp_dir, |target| target.join("tmp"));
        fs::create_dir_all(&parent).expect("the target folder can be written");
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(parent);
        Self(Some(folder.expect("the target folder can be written")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0
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
            && let Some(folder) = self.0.take()
        {
            eprintln!("logs and data are kept in {}", folder.keep().display());
        }
    }
}
