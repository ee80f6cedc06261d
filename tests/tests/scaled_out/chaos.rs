//! Everything dies once, under load.

use std::time::Duration;

use tests::scaled_out::{Chaos, Plan};

#[test]
fn nothing_accepted_is_lost_or_out_of_order_while_processes_brokers_and_database_die() {
    let plan = Plan {
        seed: 1,
        lasts: Duration::ZERO,
        pause: Duration::from_secs(3),
        client_pause: Duration::from_millis(150),
    };
    let report = Chaos::start(plan).run();
    println!("{report}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.accepted > 0 && report.delivered > 0);
}
