//! Where the program under test is.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The program under test: the one that `ERROR_NOTIFIER_BIN` names, else one
/// that is built now, with the profile that this test was built with.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("ERROR_NOTIFIER_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "ERROR_NOTIFIER_BIN names {}, which is no file",
                path.display()
            );
            path
        }
        None => build(),
    })
}

fn build() -> PathBuf {
    // …/target/debug/deps/crash-0123, or …/target/debug/crash.
    let this = env::current_exe().expect("a running program has a path");
    let folder = this.parent().expect("a program is in a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("deps has a parent")
    } else {
        folder
    };
    let is_release = folder.ends_with("release");
    let target = folder.parent().expect("a profile's folder has a parent");

    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--quiet", "--package", "error-notifier"])
        .args(is_release.then_some("--release"))
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "error-notifier could not be built");
    folder.join("error-notifier")
}
