//! Warnings go to a lane of their own, whatever becomes of the one beside it.

use super::*;

/// A warning to that place.
fn warning(sequence: u64, to: &str) -> Lease {
    let mut warning = high(sequence, to);
    warning.destination = Arc::new(warning.destination.for_warnings());
    warning
}

#[test]
fn a_warning_goes_at_once_to_a_place_that_has_a_backlog() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive((1..=50).map(|n| high(n, "a")));
    assert_eq!(bench.sent(), 1);
    bench.receive([warning(100, "a")]);
    assert_eq!(bench.under_way(), [1, 100]);
}

#[test]
fn a_warning_goes_at_once_to_a_place_that_fails() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    for _ in 0..10 {
        bench.answer(fails(Fault::Destination));
        super::breakers::pass_to_next_send(&mut bench);
    }
    bench.answer(fails(Fault::Destination));
    assert!(bench.sends.is_empty());
    bench.receive([warning(100, "a")]);
    assert_eq!(bench.sent(), 100);
    // Its failing is its own matter too.
    bench.answer(fails(Fault::Destination));
    bench.receive([normal(2, "b")]);
    assert_eq!(bench.sent(), 2);
}

#[test]
fn a_warning_waits_as_long_as_its_place_has_asked_for() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(600)));
    bench.receive([warning(100, "a")]);
    assert!(bench.sends.is_empty());
    bench.pass(seconds(599));
    assert!(bench.sends.is_empty());
    bench.pass(seconds(1));
    assert_eq!(bench.sends.len(), 2);
}
