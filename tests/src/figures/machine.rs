//! What the system says of itself and of processes.

use std::{
    fs::{self, File},
    io::Write,
    time::{Duration, Instant},
};

use super::Times;
use crate::harness::Scratch;

const SYNCS: usize = 300;

/// Cores, and how long the disk takes to sync.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let scratch = Scratch::new("measure");
    let mut file = File::create(scratch.join("file")).expect("a file");
    let syncs = (0..SYNCS).map(|_| {
        file.write_all(&[7; 4096]).expect("room");
        let begun = Instant::now();
        file.sync_data().expect("a disk");
        begun.elapsed()
    });
    let syncs: Times = syncs.collect();
    format!("{cores}; {}, {}", syncs.median(), syncs.p99())
}

/// The memory that a process has, in MiB.
pub fn resident_mib(id: u32) -> f64 {
    memory(id, "VmRSS:")
}

/// The most memory that a process had since it began, or since [`forget_peak`].
pub fn peak_mib(id: u32) -> f64 {
    memory(id, "VmHWM:")
}

/// Lets the peak of a process's memory begin anew
/// (`man 5 proc_pid_clear_refs`).
pub fn forget_peak(id: u32) {
    fs::write(format!("/proc/{id}/clear_refs"), "5").expect("a process of one's own");
}

fn memory(id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.expect("every process has it") / 1024.0
}

/// The processor time that a process has used.
pub fn cpu_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
    // After the name, which is in brackets: state is field 3, utime 14, stime 15.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number"));
    let ticks: u64 = ticks.sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
