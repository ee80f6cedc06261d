//! Libraries in C (`tests/shim`) that stand between a program and the system, loaded
//! by `LD_PRELOAD`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Compiles `tests/shim/{name}.c` into `folder`.
pub fn shim(name: &str, folder: &Path) -> PathBuf {
    let source = format!("{}/tests/shim/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("{name}.so"));
    let status = Command::new("cc")
        .args([
            "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o",
        ])
        .arg(&library)
        .args([&source, "-ldl"])
        .status();
    match status {
        Ok(status) if status.success() => library,
        Ok(_) => panic!("{source} does not compile"),
        Err(error) => {
            panic!("a C compiler is needed and cc does not run: {error}; `make test` installs one")
        }
    }
}
