//! Processor time of processes that nobody asks anything of.

use std::{thread::sleep, time::Duration};

use tests::{
    figures::{machine, row},
    harness::Directory,
    scaled_out::{Member, Site},
};

use super::Servers;

const SETTLES: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(30);

pub(crate) fn measure(servers: &mut Servers) {
    let mut site = Site::start(servers.options(), Directory::of_users(100), 1, 1);
    sleep(SETTLES);
    let ids =
        [&mut site.producers[0], &mut site.consumers[0]].map(|one: &mut Member| one.process().id());
    let before = ids.map(machine::cpu_time);
    sleep(LASTS);
    let after = ids.map(machine::cpu_time);
    let share = |place: usize| {
        let used = (after[place] - before[place]).as_secs_f64();
        format!("{:.2} %", 100.0 * used / LASTS.as_secs_f64())
    };
    let figure = format!("{}, {}", share(0), share(1));
    row(
        "idle, of one core: producer, consumer",
        &figure,
        "≤ 1 % each",
    );
    let figure = format!(
        "{:.0}, {:.0} MiB",
        machine::resident_mib(ids[0]),
        machine::resident_mib(ids[1])
    );
    row("idle, memory: producer, consumer", &figure, "");
}
