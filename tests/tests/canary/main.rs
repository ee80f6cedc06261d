//! A distinct secret in every place that holds one, and then a look at everything that can
//! be looked at: what is kept, logged, shown and told about a process. None is found but
//! where it is sealed. `leaks` is about what callers can do; this is about what remains.

#![allow(clippy::unwrap_used, reason = "a test outside #[test] functions")]

mod caller;
mod embedded;
mod scaled_out;
mod work;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tests::search::{ByteSearch, Search};

/// Writes a file that its owner alone may read.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The key of the first line of a file, and its id.
fn first_key(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains(':') && !line.starts_with('#'));
    line.unwrap().to_owned()
}

/// What the system tells of a running process: its command line and environment.
fn told_of(process: u32) -> Vec<(String, Vec<u8>)> {
    ["cmdline", "environ"]
        .map(|what| {
            let path = format!("/proc/{process}/{what}");
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .into()
}

/// Asserts that nothing of the secrets is in these folders and texts; and that it would be
/// found, were it there.
fn assert_nothing_in(search: &Search, folders: &[&Path], texts: &[(String, Vec<u8>)]) {
    let searching = ByteSearch::of(search);
    for folder in folders {
        assert!(
            !tests::search::files_below(folder).is_empty(),
            "there is nothing in {}",
            folder.display()
        );
        assert_eq!(searching.found_below(folder), [""; 0]);
    }
    for (place, text) in texts {
        let found = searching.found_in(text);
        assert!(
            found.is_empty(),
            "{found:?} in {place}: {}",
            String::from_utf8_lossy(text)
        );
    }
    for folder in folders {
        let planted = folder.join("planted");
        let all: String = search
            .all()
            .map(|(_, secret)| format!("{secret}\n"))
            .collect();
        fs::write(&planted, all).unwrap();
        let found = searching.found_below(folder);
        fs::remove_file(&planted).unwrap();
        for (place, _) in search.all() {
            assert!(
                found.iter().any(|one| one.contains(place)),
                "the secret of {place} is not found where it is"
            );
        }
    }
}
