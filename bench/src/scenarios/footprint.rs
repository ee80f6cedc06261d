//! The program's size, how fast it starts, and what it takes while nothing happens.

use std::{fs, path::Path, thread::sleep, time::Duration};

use tests::{
    figures::{
        machine::{cpu_time, resident_mib},
        median,
    },
    harness::{Mockup, Scratch},
};

use super::ROUNDS;
use crate::{
    report::Report,
    subject::{Programs, Run, Subject, options},
};

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for (place, program) in run.programs.iter().enumerate() {
        let name = Programs::name(place);
        let size = fs::metadata(program).map_or(0, |file| file.len()) as f64 / (1 << 20) as f64;
        report.row(
            &format!("binary{name}"),
            &format!("{size:.1} MiB"),
            "",
            size,
        );
        let (first, later) = (0..ROUNDS).map(|_| starts(program)).unzip();
        let (first, later) = (median(first), median(later));
        report.row(
            &format!("from its start to the first 200{name}: the first start, later ones"),
            &format!("{first:.0}, {later:.0} ms"),
            "≤ 100 ms",
            first,
        );
        idle(program, name, report);
    }
}

/// How long it takes to start in an empty folder and in its own, in milliseconds.
fn starts(program: &Path) -> (f64, f64) {
    let scratch = Scratch::new("bench");
    let mockup = Mockup::start(&scratch);
    let options = options(program, &scratch, &mockup);
    let start = || {
        let server = options.start();
        let ready_after = server.ready_after.as_secs_f64() * 1000.0;
        server.stop();
        ready_after
    };
    (start(), start())
}

fn idle(program: &Path, name: &str, report: &mut Report) {
    let subject = Subject::start(program, 100, |options| options);
    let id = subject.server.process.id();
    // What the start has left to do.
    sleep(Duration::from_secs(1));
    let (cpu, woken) = (cpu_time(id), wake_ups(id));
    sleep(IDLE);
    let cpu = (cpu_time(id) - cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let woken = (wake_ups(id) - woken) as f64 / IDLE.as_secs_f64();
    let resident = resident_mib(id);
    report.row(
        &format!("idle with 100 users{name}: memory; of one core; threads woken a second"),
        &format!("{resident:.1} MiB; {cpu:.2} %; {woken:.1}"),
        "≤ 15 MiB",
        resident,
    );
}

/// How often its threads have gone to sleep by themselves, see proc_pid_status(5).
fn wake_ups(id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("a process");
    let switches = threads.flatten().filter_map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    });
    switches.sum()
}
