//! Puts version and commit into `ERROR_NOTIFIER_VERSION`, read by `--version`.
//!
//! Without git, or outside a checkout (a source archive), the commit is left
//! out: a build never fails for want of it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let shown = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=ERROR_NOTIFIER_VERSION={shown}");
}

/// The short id of the commit that this file is part of.
fn commit() -> Option<String> {
    // HEAD changes when a branch is checked out, a ref with every commit on it.
    for name in ["HEAD", "refs/heads"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    // An archive unpacked inside somebody else's checkout is not that
    // checkout's commit: this file must be tracked.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=7", "--verify", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
