//! `make backlog DELIVERIES=1000000`: Slack is away for an hour while so much waits for
//! it; as Markdown.
//!
//! The real program with its default settings, its disk and its queue. The hour is
//! simulated: both processes have a clock that is moved, so that they live through
//! each of its seconds in a few milliseconds. All else takes the time that it takes.

mod plan;
mod watch;

use std::{
    process::exit,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    figures::{head, machine, ms, row},
    harness::{
        Database, Load, Mockup, MovableClock, Outcome, Posted, Scratch, Server, ServerOptions,
        wait_for,
    },
};

use plan::Plan;
use watch::Watch;

/// Connections that post.
const CONNECTIONS: usize = 32;
/// How long Slack is away.
const AWAY: Duration = Duration::from_secs(3600);
/// The clock is moved by so much at a time, and left alone for a while.
const STEP: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(6);
/// Times that the process is killed with all of it waiting.
const KILLS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(900);

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(Some(1_000_000), |text| text.parse().ok());
    let Some(count) = count.filter(|count| (1..=10_000_000).contains(count)) else {
        eprintln!("usage: backlog [DELIVERIES], at most 10000000");
        exit(2);
    };
    let plan: &'static Plan = Box::leak(Box::new(Plan::of(count)));
    let scratch = Scratch::new("backlog");
    let mut clock = MovableClock::new(&scratch);
    let mut mockup = Mockup::start_by(&clock, &scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup)
        .with("--slack-pace", "1")
        .by(&clock);
    mockup.go_away();

    head();
    row(
        "cores; fdatasync of 4 KiB, median and p99",
        &machine::describe(),
        "",
    );
    let server = options.start();
    plan.directory().import(&server);
    server.stop();
    let server = options.start();
    row(
        &format!("RSS with {} users alone", plan.destinations()),
        &format!("{:.0} MiB", machine::resident_mib(server.process.id())),
        "",
    );
    fill(plan, &server);
    away(&mut clock, &server);
    let server = restarts(plan, &options, server);
    come_back(plan, &mut clock, &mut mockup, &server);
    let all_is_well = verdict(plan, &mockup, &server);
    server.stop();
    // Where it is not so, logs and data are kept.
    assert!(all_is_well, "some of it is not as it must be");
}

/// Posts all of it.
fn fill(plan: &'static Plan, server: &Server) {
    let watch = Watch::begin(server);
    let load = Load::start(server.address(), CONNECTIONS, |connection, count| {
        plan.alert(count * CONNECTIONS + connection)
    });
    let posted = load.join();
    let refused: Vec<&Posted> = posted
        .iter()
        .filter(|one| !matches!(one.outcome, Outcome::Accepted { .. }))
        .collect();
    assert!(
        refused.is_empty(),
        "{} refused: {:?}",
        refused.len(),
        refused[0]
    );
    assert_eq!(posted.len(), plan.alerts(), "a connection broke");
    let took = watch.took();
    all_taken_over(plan, server);
    row(
        &format!(
            "{} alerts accepted, {} deliveries to {} destinations, while Slack refuses connections",
            plan.alerts(),
            plan.deliveries(),
            plan.destinations()
        ),
        &format!("{took}; RSS at most {}", watch.peak(server)),
        "≤ 100 MB",
    );
}

/// Waits until the consumer knows of all that is left.
fn all_taken_over(plan: &Plan, server: &Server) {
    let database = Database::live(server.options.data());
    wait_for("the consumer to know of all that waits", PATIENCE, || {
        let names = ["waiting", "parked", "in_flight"];
        let known = names.map(|name| server.metric(&format!("error_notifier_deliveries_{name}")));
        let known: usize = known
            .into_iter()
            .map(|it| it.unwrap_or_default() as usize)
            .sum();
        sleep(Duration::from_millis(20));
        // A digest counts once.
        (known + database.digested() >= plan.deliveries()).then_some(())
    });
}

/// The hour goes by.
fn away(clock: &mut MovableClock, server: &Server) {
    let watch = Watch::begin(server);
    let until = clock.ahead() + AWAY;
    while clock.ahead() < until {
        clock.advance(STEP);
        // The time itself: nothing is waited for here.
        sleep(PAUSE);
    }
    row(
        &format!("an hour goes by, in {}: attempts made", watch.took()),
        &format!(
            "{}; RSS at most {}",
            watch::attempts(server),
            watch.peak(server)
        ),
        "≤ 100 MB",
    );
}

/// The process ends and begins again with all of it waiting: in order, then killed.
fn restarts(plan: &Plan, options: &ServerOptions, server: Server) -> Server {
    server.stop();
    let mut server = options.start();
    let watch = Watch::begin(&server);
    let in_order = server.ready_after;
    all_taken_over(plan, &server);
    row(
        "from start to ready with all of it waiting, after a stop in order",
        &ms(in_order),
        "≤ 1 s",
    );
    row(
        "from there until the consumer knows of all of it",
        &format!("{}; RSS at most {}", watch.took(), watch.peak(&server)),
        "≤ 100 MB",
    );
    let mut slowest = Duration::ZERO;
    for _ in 0..KILLS {
        server.process.kill();
        server = options.start();
        slowest = slowest.max(server.ready_after);
    }
    let watch = Watch::begin(&server);
    all_taken_over(plan, &server);
    row(
        &format!("the same after `kill -9`, slowest of {KILLS}"),
        &ms(slowest),
        "≤ 1 s",
    );
    row(
        "from there until the consumer knows of all of it",
        &format!("{}; RSS at most {}", watch.took(), watch.peak(&server)),
        "≤ 100 MB",
    );
    server
}

/// Slack is there again, with the limits that it has.
fn come_back(plan: &Plan, clock: &mut MovableClock, mockup: &mut Mockup, server: &Server) {
    mockup.come_back();
    // <https://docs.slack.dev/apis/web-api/rate-limits>.
    mockup.set_faults(&json!({ "rateLimitPerSecond": 1, "rateBurst": 4 }));
    let before = clock.ahead();
    wait_for("a request to Slack", PATIENCE, || {
        clock.advance(STEP);
        sleep(PAUSE);
        (mockup.stats().accepted > 0).then_some(())
    });
    let noticed_after = clock.ahead() - before;
    let watch = Watch::begin(server);
    let begun = Instant::now();
    let mut shown = Instant::now();
    wait_for("every delivery to end", PATIENCE, || {
        let depth = server.metric("error_notifier_queue_depth")?;
        if shown.elapsed() > Duration::from_secs(5) {
            shown = Instant::now();
            eprintln!(
                "{:.0} s: {depth} deliveries left, {} messages, {:.0} MiB",
                begun.elapsed().as_secs_f64(),
                mockup.stats().accepted,
                machine::resident_mib(server.process.id())
            );
        }
        sleep(Duration::from_millis(50));
        (depth == 0.0).then_some(())
    });
    let took = watch.took();
    let stats = mockup.stats();
    row(
        "Slack is there again: the first request, by the clock of the hour",
        &ms(noticed_after),
        "≤ 60 s",
    );
    row(
        &format!("from there until all {} are delivered", plan.deliveries()),
        &format!("{took}; RSS at most {}", watch.peak(server)),
        "≤ 100 MB",
    );
    row(
        "messages that carried them; answers 429",
        &format!("{}; {}", stats.accepted, stats.rate_limited),
        "",
    );
}

/// Whether everything is recorded as delivered, and has arrived.
fn verdict(plan: &Plan, mockup: &Mockup, server: &Server) -> bool {
    let ends = Database::live(server.options.data()).ends();
    let recorded = ends.alone + ends.in_digests;
    row(
        "delivered by themselves; in digests; otherwise ended",
        &format!("{}; {}; {}", ends.alone, ends.in_digests, ends.otherwise),
        "",
    );
    let missing = watch::missing(&plan.texts(), &mockup.messages());
    row(
        "texts that did not arrive where they should",
        &format!("{missing} of {}", plan.deliveries()),
        "0",
    );
    let lost = plan.deliveries().saturating_sub(recorded);
    row("lost", &lost.to_string(), "0");
    lost == 0 && missing == 0 && ends.otherwise == 0
}
