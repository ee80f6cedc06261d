//! `backup`: a data folder in one file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::print;
use crate::config::settings::DataSettings;

pub(super) const EXAMPLES: &str = "\
Runs on the machine of the data folder, beside the server or without it. The copy is
consistent, is written to FILE.partial, synced, and then renamed: FILE is never half
a copy. It holds users' tokens sealed, and not their key (secret-key in the data
folder, or the file of --secret-key-file): keep that apart from the copy, and keep
it, for without it they cannot be read. To restore, put the copy into an empty data
folder as error-notifier.db, and the key where it was.

Examples:
  error-notifier backup --data-dir /var/lib/error-notifier /var/backups/today.db
  error-notifier backup latest.db --force";

/// Arguments of `backup`.
#[derive(Args)]
pub(crate) struct Backup {
    /// File to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataSettings,
}

/// Copies the data to the file.
pub(crate) fn run(arguments: &Backup) -> Result<(), Failure> {
    let path = &arguments.file;
    refuse_to_replace(path, arguments.force)?;
    let partial = partial_of(path)?;
    // What an earlier, killed backup left.
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&partial, error));
        }
        _ => {}
    }
    let finished = sqlite::backup(&arguments.data.data_dir, &partial)
        .map_err(|error| Failure::BadInput(error.to_string()))
        .and_then(|()| refuse_to_replace(path, arguments.force))
        .and_then(|()| rename_synced(&partial, path).map_err(|error| failed(path, error)));
    if finished.is_err() {
        // What is left of it helps nobody; the failure itself is what to tell.
        let _ = std::fs::remove_file(&partial);
    }
    finished?;
    let bytes = std::fs::metadata(path)
        .map_err(|error| failed(path, error))?
        .len();
    print(&format!("wrote {} ({bytes} bytes)\n", path.display()))
}

fn refuse_to_replace(path: &Path, force: bool) -> Result<(), Failure> {
    if path.is_dir() {
        let line = format!("{} is a folder; name a file in it", path.display());
        return Err(Failure::BadInput(line));
    }
    if !force && path.symlink_metadata().is_ok() {
        let line = format!("{} exists; --force replaces it", path.display());
        return Err(Failure::BadInput(line));
    }
    Ok(())
}

fn partial_of(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        let line = format!("{} does not name a file", path.display());
        return Err(Failure::BadInput(line));
    };
    let mut name = name.to_owned();
    name.push(".partial");
    Ok(path.with_file_name(name))
}

fn rename_synced(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    // The new name is durable once its folder is.
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, error: io::Error) -> Failure {
    Failure::Output(path.display().to_string(), error)
}
