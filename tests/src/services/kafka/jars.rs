//! Kafka's own jars, fetched from Maven Central once a build folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{harness::Process, services::folder};

const POM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/services/kafka/pom.xml");
/// 54 MB over a slow line.
const PATIENCE: Duration = Duration::from_secs(600);
const ATTEMPTS: usize = 3;

/// The folder with the jars, which are fetched where they are missing or those of
/// another `pom.xml`. Programs that ask at once fetch them once.
pub(super) fn jars() -> PathBuf {
    let folder = folder().join("kafka");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let jars = folder.join("libs");
    let _lock = lock(&folder.join("lock")).expect("a file can be locked");
    if !are_those_of_the_pom(&jars) {
        fetch(&folder, &jars);
    }
    jars
}

/// A copy of the `pom.xml` lies beside the jars, and came with the last of them.
fn are_those_of_the_pom(jars: &Path) -> bool {
    let wanted = fs::read(POM).expect("the pom.xml is there");
    fs::read(jars.join("pom.xml")).is_ok_and(|found| found == wanted)
}

fn fetch(folder: &Path, jars: &Path) {
    let fresh = folder.join("libs.fresh");
    let log = folder.join("maven.log");
    let mut attempts = 1;
    while let Err(reason) = run_maven(&fresh, &log) {
        assert!(
            attempts < ATTEMPTS,
            "Kafka's jars cannot be fetched from Maven Central: {reason}"
        );
        attempts += 1;
    }
    fs::copy(POM, fresh.join("pom.xml")).expect("the pom.xml can be copied");
    let _ = fs::remove_dir_all(jars);
    fs::rename(&fresh, jars).expect("a folder can be renamed");
}

fn run_maven(into: &Path, log: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(into);
    let mut maven = Command::new("mvn");
    maven
        .args([
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            "--file",
            POM,
        ])
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", into.display()));
    let mut process = Process::start(&mut maven, log);
    if !process.ends_within(PATIENCE) {
        return Err(format!("no end after {PATIENCE:?}\n{}", process.tail()));
    }
    let status = process.wait(PATIENCE);
    if !status.success() {
        return Err(format!("{status}\n{}", process.tail()));
    }
    Ok(())
}

/// Waits for whoever else is at it, twice as long as that may take.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                assert!(
                    begun.elapsed() < PATIENCE * 2,
                    "another program holds {}",
                    path.display()
                );
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
