//! Deliveries that somebody cancelled.

use super::*;

fn cancelled(leases: &[Lease]) -> Event {
    Event::Cancelled(leases.iter().map(Lease::key).collect())
}

#[test]
fn what_waits_in_its_lane_is_never_sent_and_settles_nothing() {
    let mut bench = Bench::new(unlimited());
    let waiting = [normal(2, "a"), normal(3, "a"), normal(4, "a")];
    bench.receive([normal(1, "a")]);
    bench.receive(waiting.clone());
    bench.tell(cancelled(&waiting[1..2]));
    assert_eq!(bench.accept_all(), [1, 2, 4]);
    assert_eq!(bench.settled.len(), 3);
    assert_eq!(bench.engine.counts().held, 0);
}

#[test]
fn what_stepped_aside_is_never_sent_again() {
    let mut bench = Bench::new(unlimited());
    let lease = normal(1, "a");
    bench.receive([lease.clone()]);
    bench.answer(fails(Fault::Payload));
    bench.tell(cancelled(&[lease]));
    bench.pass(seconds(3600));
    assert!(bench.sends.is_empty());
    assert_eq!(bench.engine.counts().held, 0);
}

#[test]
fn one_under_way_is_delivered_where_the_service_takes_it() {
    let mut bench = Bench::new(unlimited());
    let lease = normal(1, "a");
    bench.receive([lease.clone()]);
    bench.tell(cancelled(&[lease]));
    bench.answer(accepted());
    assert_eq!(*bench.last_outcome(), Outcome::Delivered);
}

#[test]
fn one_under_way_is_cancelled_with_its_attempt_where_the_service_does_not_take_it() {
    for answer in [fails(Fault::Destination), fails(Fault::Payload)] {
        let mut bench = Bench::new(unlimited());
        let lease = normal(1, "a");
        bench.receive([lease.clone()]);
        bench.tell(cancelled(&[lease]));
        bench.answer(answer);
        assert_eq!(*bench.last_outcome(), Outcome::Cancelled);
        assert!(bench.settled[0].attempt.is_some());
        bench.pass(seconds(3600));
        assert!(bench.sends.is_empty());
        assert_eq!(bench.engine.counts().held, 0);
    }
}

#[test]
fn the_rest_of_one_sent_in_part_is_never_sent() {
    let mut bench = Bench::new(paced(Some(1.0)));
    let lease = normal(1, "a");
    bench.receive([lease.clone()]);
    bench.tell(cancelled(&[lease]));
    bench.answer_of_parts(accepted(), 3);
    assert_eq!(*bench.last_outcome(), Outcome::Cancelled);
    assert!(bench.sends.is_empty());
}

#[test]
fn a_fetch_under_way_does_not_bring_it_back() {
    let mut bench = Bench::before_catching_up(unlimited());
    let parked = [normal(1, "a"), normal(2, "a")];
    bench.tell(Event::ParkedLanes(vec![ParkedLane {
        destination: destination("a"),
        severity: Severity::Normal,
        count: 2,
    }]));
    bench.tell(Event::CaughtUp);
    assert_eq!(bench.unparks.len(), 1);
    bench.tell(cancelled(&parked[..1]));
    bench.tell(Event::Unparked {
        destination: destination("a"),
        severity: Severity::Normal,
        leases: parked.to_vec(),
    });
    assert_eq!(bench.accept_all(), [2]);
}

#[test]
fn one_that_is_replayed_after_it_was_cancelled_is_sent() {
    let mut bench = Bench::new(unlimited());
    let lease = normal(2, "a");
    bench.receive([normal(1, "a"), lease.clone()]);
    bench.tell(cancelled(std::slice::from_ref(&lease)));
    bench.receive([lease]);
    assert_eq!(bench.accept_all(), [1, 2]);
}

#[test]
fn a_replayed_delivery_is_as_long_tried_as_a_new_one() {
    let mut bench = Bench::new(unlimited());
    let mut lease = normal(1, "a");
    bench.pass(seconds(90 * 24 * 3600));
    lease.progress.attempts = 1;
    lease.progress.replayed_at = Some(bench.now.utc);
    bench.receive([lease]);
    bench.answer(fails(Fault::Destination));
    assert!(matches!(bench.last_outcome(), Outcome::Waiting(_)));
}
