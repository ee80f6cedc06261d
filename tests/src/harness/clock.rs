//! A clock that the test moves, for the program as processes.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;

use super::{Scratch, shim};

/// The clock of all processes that are started by it: the machine's own, and ahead of
/// it by as much as it was moved. So they live through an hour in the time that it
/// takes them to do what there is to be done in it.
#[derive(Debug)]
pub struct MovableClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
    ahead: Duration,
}

impl MovableClock {
    /// A clock that has not been moved. `scratch` must outlive it.
    pub fn new(scratch: &Scratch) -> Self {
        let path = scratch.join("clock");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
            .expect("a file");
        let clock = Self {
            library: shim("clock", scratch.path()),
            path,
            file,
            ahead: Duration::ZERO,
        };
        clock.write();
        clock
    }

    /// Moves it forward.
    pub fn advance(&mut self, span: Duration) {
        self.ahead += span;
        self.write();
    }

    /// The time by it.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    /// By how much it was moved so far.
    pub fn ahead(&self) -> Duration {
        self.ahead
    }

    /// What must be in the environment of a process for it to have this clock.
    pub fn variables(&self) -> [(&'static str, OsString); 2] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("CLOCK_AHEAD", self.path.clone().into()),
        ]
    }

    fn write(&self) {
        let nanoseconds = i64::try_from(self.ahead.as_nanos()).expect("less than 292 years");
        self.file
            .write_all_at(&nanoseconds.to_ne_bytes(), 0)
            .expect("room on the disk");
    }
}
