//! What goes next in a lane.

use super::*;

#[test]
fn a_delivery_is_sent_at_once_and_settled_when_it_is_accepted() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    assert_eq!((bench.sends[0].part, bench.sends[0].attempt), (0, 1));
    bench.answer(Answer::Accepted {
        status: 200,
        provider_id: Some("17.1".into()),
    });
    let settled = &bench.settled[0];
    assert_eq!(settled.outcome, Outcome::Delivered);
    let attempt = settled.attempt.as_ref().unwrap();
    assert_eq!(
        (attempt.number, attempt.provider_id.as_deref()),
        (1, Some("17.1"))
    );
}

#[test]
fn one_request_at_a_time_is_under_way_to_a_destination() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a"), normal(3, "b")]);
    let under_way: Vec<_> = bench
        .sends
        .iter()
        .map(|send| send.lease.position.sequence)
        .collect();
    assert_eq!(under_way, [1, 3]);
}

#[test]
fn high_goes_before_normal_and_normal_before_low_each_in_order_of_acceptance() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.receive([
        low(2, "a"),
        normal(3, "a"),
        low(4, "a"),
        high(5, "a"),
        normal(6, "a"),
        high(7, "a"),
    ]);
    assert_eq!(bench.accept_all(), [1, 5, 7, 3, 6, 2, 4]);
}

#[test]
fn what_failed_goes_again_before_those_accepted_after_it() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a"), normal(3, "a")]);
    bench.answer(fails(Fault::Destination));
    bench.pass_to_next_wake();
    assert_eq!(bench.accept_all(), [1, 2, 3]);
}

#[test]
fn a_low_one_that_waited_too_long_takes_every_fourth_turn() {
    let mut bench = Bench::new(unlimited());
    bench.receive([high(1, "a"), low(2, "a"), low(3, "a")]);
    bench.pass(seconds(60));
    bench.receive((10..20).map(|sequence| high(sequence, "a")));
    assert_eq!(
        bench.accept_all(),
        [1, 10, 11, 2, 12, 13, 14, 3, 15, 16, 17, 18, 19]
    );
}

#[test]
fn a_low_one_that_did_not_wait_long_goes_last() {
    let mut bench = Bench::new(unlimited());
    bench.receive([high(1, "a"), low(2, "a")]);
    bench.pass(seconds(59));
    bench.receive((10..16).map(|sequence| high(sequence, "a")));
    assert_eq!(bench.accept_all().last(), Some(&2));
}

#[test]
fn the_parts_of_a_text_follow_each_other_before_anything_else_of_the_lane() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    for part in 0..3 {
        assert_eq!((bench.sent(), bench.sends[0].part), (1, part));
        bench.receive([high(10 + u64::from(part), "a")]);
        bench.answer_of_parts(accepted(), 3);
    }
    let ends: Vec<_> = bench
        .settled
        .iter()
        .filter(|settled| settled.lease.position.sequence == 1)
        .map(|settled| (settled.outcome.as_str(), settled.parts_sent))
        .collect();
    assert_eq!(ends, [("part_sent", 1), ("part_sent", 2), ("delivered", 3)]);
    assert_eq!(bench.accept_all(), [10, 11, 12]);
}

#[test]
fn a_retry_goes_on_with_the_part_that_was_not_taken() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer_of_parts(accepted(), 2);
    bench.answer_of_parts(fails(Fault::Destination), 2);
    bench.pass_to_next_wake();
    assert_eq!((bench.sends[0].part, bench.sends[0].attempt), (1, 3));
    bench.answer_of_parts(accepted(), 2);
    assert_eq!(bench.last_outcome(), &Outcome::Delivered);
}

#[test]
fn a_text_sent_in_part_by_an_earlier_run_is_gone_on_with_first() {
    let mut bench = Bench::new(unlimited());
    let mut begun = low(1, "a");
    begun.progress = Progress {
        attempts: 1,
        parts_sent: 1,
        wait: None,
        ..Progress::default()
    };
    bench.receive([begun, high(2, "a")]);
    assert_eq!((bench.sent(), bench.sends[0].part), (1, 1));
    bench.answer_of_parts(accepted(), 2);
    assert_eq!(bench.accept_all(), [2]);
}

#[test]
fn a_delivery_of_an_unknown_kind_of_channel_is_dead_with_a_reason() {
    let mut bench = Bench::new(unlimited());
    let mut pigeon = normal(1, "a");
    pigeon.destination = Arc::new(Destination::new(ChannelKind::new("pigeon"), "", "a"));
    bench.receive([pigeon]);
    let reason = "no channel of the kind pigeon is configured".to_owned();
    assert_eq!(bench.last_outcome(), &Outcome::Dead { reason });
    assert!(bench.sends.is_empty());
    assert_eq!(bench.engine.counts(), Counts::default());
}

#[test]
fn while_draining_nothing_begins_and_what_is_under_way_is_still_recorded() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a")]);
    bench.tell(Event::Draining);
    assert_eq!((bench.engine.room(), bench.engine.idle()), (0, false));
    bench.answer(accepted());
    assert_eq!(bench.last_outcome(), &Outcome::Delivered);
    assert!(bench.sends.is_empty());
    assert!(bench.engine.idle());
    assert_eq!(bench.engine.next_wake(), None);
}
