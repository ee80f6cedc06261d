//! How destinations stand, as whoever asks is told.

use std::collections::BTreeMap;

use common::status::{
    BreakerOf, BreakerState, BreakerStatus, DestinationState, DestinationStatus, StatusFilter,
    StatusPage,
};

use super::{
    breakers::{full, host_down, pass_to_next_send},
    *,
};
use crate::domain::{Digest, DigestId};

fn everything(bench: &Bench) -> StatusPage {
    let filter = StatusFilter::default();
    bench.engine.status(bench.now, &filter, None, 10_000)
}

/// The one destination that there is anything to say of.
fn only(bench: &Bench) -> DestinationStatus {
    let mut found = everything(bench).destinations;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// In so many seconds from now.
fn in_seconds(bench: &Bench, count: u64) -> Option<UtcMillis> {
    Some(bench.now.utc.plus(seconds(count)))
}

#[test]
fn who_is_at_rest_and_well_is_not_named() {
    let mut bench = Bench::new(paced(Some(1.0)));
    assert_eq!(everything(&bench), StatusPage::default());
    bench.receive([normal(1, "a")]);
    bench.answer(accepted());
    assert_eq!(bench.engine.lanes.len(), 1, "its pace is remembered");
    assert_eq!(everything(&bench), StatusPage::default());
}

#[test]
fn what_waits_is_counted_by_severity_beside_what_is_under_way() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), high(2, "a"), high(3, "a"), low(4, "a")]);
    let status = only(&bench);
    assert_eq!(status.state, DestinationState::Sending);
    assert_eq!((status.waiting, status.in_flight), ([1, 1, 1], 1));
    let place = status.destination.unwrap();
    assert_eq!((place.id, &*place.address), (destination("a"), "a"));
    assert_eq!(status.host.as_deref(), Some("slack"));
}

#[test]
fn a_lane_whose_pace_holds_says_until_when_and_how_fast_it_is() {
    let mut bench = Bench::new(paced(Some(0.5)));
    bench.receive((1..=10).map(|n| normal(n, "a")));
    (0..4).for_each(|_| {
        bench.answer(accepted());
    });
    let status = only(&bench);
    assert_eq!(status.state, DestinationState::Pace);
    assert_eq!(status.until, in_seconds(&bench, 2));
    let pace = status.pace.unwrap();
    assert_eq!((pace.per_second, pace.usual), (0.5, 0.5));
    assert_eq!(status.trouble, None);
    assert!(!status.folding, "it has no digests");
}

#[test]
fn a_lane_that_was_told_to_wait_says_so_and_its_halved_pace() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(600)));
    let status = only(&bench);
    assert_eq!(status.state, DestinationState::RetryAfter);
    assert_eq!(status.until, in_seconds(&bench, 600));
    assert_eq!(status.pace.unwrap().per_second, 0.5);
    assert_eq!(status.pace.unwrap().usual, 1.0);
    bench.pass(seconds(600));
    bench.answer(accepted());
    assert_eq!(everything(&bench).destinations, [], "long since well");
}

#[test]
fn a_lane_that_fails_says_since_when_how_often_and_what_was_said() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    let since = bench.now.utc;
    bench.answer(fails(Fault::Destination));
    pass_to_next_send(&mut bench);
    bench.answer(fails(Fault::Destination));
    let status = only(&bench);
    assert_eq!(status.state, DestinationState::Backoff);
    assert!(status.until > Some(bench.now.utc));
    let trouble = status.trouble.unwrap();
    assert_eq!(
        (trouble.failures, trouble.since, &*trouble.error),
        (2, Some(since), "broken")
    );
}

#[test]
fn a_lane_that_failed_last_is_named_though_nothing_waits() {
    let mut bench = Bench::new(unlimited());
    let lone = normal(1, "a");
    let key = lone.key();
    bench.receive([lone]);
    for _ in 0..3 {
        bench.answer(asks_for(seconds(10)));
        pass_to_next_send(&mut bench);
    }
    bench.answer(fails(Fault::Destination));
    bench.tell(Event::Cancelled(vec![key]));
    let status = only(&bench);
    assert_eq!(
        (status.state, status.waiting),
        (DestinationState::Backoff, [0; 3])
    );
    assert_eq!(status.destination, None, "nothing tells its place any more");
    assert_eq!(status.id, destination("a"));
}

#[test]
fn a_delivery_that_stepped_aside_says_until_when() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Payload));
    let status = only(&bench);
    assert_eq!(
        (status.state, status.waiting),
        (DestinationState::Aside, [0, 1, 0])
    );
    assert!(status.until > Some(bench.now.utc));
}

#[test]
fn lanes_behind_a_breaker_say_whose_it_is_and_the_breaker_since_when_and_until_when() {
    let mut bench = host_down(5);
    let opened_at = bench.now.utc;
    bench.pass(Duration::from_millis(1));
    bench.receive([normal(11, "x")]);
    let page = everything(&bench);
    let by_id: BTreeMap<_, _> = page
        .destinations
        .iter()
        .map(|status| (status.id, status))
        .collect();
    let newcomer = by_id[&destination("x")];
    let breaker = &page.breakers[0];
    assert_eq!(newcomer.state, DestinationState::HostBreaker);
    assert_eq!(newcomer.until, breaker.probe_at);
    assert_eq!(
        (&breaker.of, breaker.state, &*breaker.error),
        (
            &BreakerOf::Host("slack".into()),
            BreakerState::Open,
            "broken"
        )
    );
    assert_eq!((breaker.since, breaker.failures), (Some(opened_at), 1));
    assert!(breaker.waiting >= 1);

    pass_to_next_send(&mut bench);
    let breaker = everything(&bench).breakers.remove(0);
    assert_eq!(
        (breaker.state, breaker.probe_at),
        (BreakerState::HalfOpen, None)
    );
    bench.answer(accepted());
    assert_eq!(everything(&bench).breakers, []);
}

#[test]
fn a_refused_credential_is_named_by_its_number_and_so_is_what_waits_for_it() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Credential));
    let page = everything(&bench);
    let breaker = &page.breakers[0];
    assert_eq!(breaker.of, BreakerOf::Credential(CredentialId(1)));
    assert_eq!((breaker.state, breaker.waiting), (BreakerState::Open, 1));
    assert_eq!(
        page.destinations[0].state,
        DestinationState::CredentialBreaker
    );
    assert_eq!(page.destinations[0].until, breaker.probe_at);
}

#[test]
fn a_slowed_credential_is_named_with_its_rate_though_its_breaker_is_closed() {
    let mut bench = Bench::new(unlimited());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(asks_for(seconds(30)));
    });
    let breakers = everything(&bench).breakers;
    let slowed: Vec<&BreakerStatus> = breakers
        .iter()
        .filter(|one| one.slowed_to.is_some())
        .collect();
    assert_eq!(slowed.len(), 1);
    assert_eq!(
        (slowed[0].state, slowed[0].since),
        (BreakerState::Closed, None)
    );
    bench.receive([normal(11, "x")]);
    let page = everything(&bench);
    let newcomer = page
        .destinations
        .iter()
        .find(|one| one.id == destination("x"))
        .unwrap();
    assert_eq!(newcomer.state, DestinationState::CredentialPace);
    assert!(newcomer.until > Some(bench.now.utc));
}

#[test]
fn what_is_set_aside_on_disk_is_counted_and_a_lane_that_sleeps_is_told_of() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    bench.receive([high(20, "z"), high(21, "z"), low(22, "z")]);
    let page = everything(&bench);
    let sleeper = page
        .destinations
        .iter()
        .find(|one| one.id == destination("z"))
        .unwrap();
    assert_eq!(sleeper.state, DestinationState::HostBreaker);
    assert_eq!((sleeper.waiting, sleeper.parked), ([0; 3], [1, 0, 2]));
    assert_eq!(
        (&sleeper.destination, sleeper.host.as_deref()),
        (&None, Some("slack"))
    );
}

#[test]
fn what_an_earlier_run_parked_waits_for_room() {
    let mut bench = Bench::before_catching_up(unlimited());
    bench.tell(Event::ParkedLanes(vec![ParkedLane {
        destination: destination("a"),
        severity: Severity::Normal,
        count: 7,
    }]));
    let status = only(&bench);
    assert_eq!(
        (status.state, status.parked),
        (DestinationState::Parked, [0, 7, 0])
    );
    assert_eq!(status.host, None, "nothing of it was seen");
}

#[test]
fn a_digest_counts_as_all_that_it_carries() {
    let mut bench = Bench::new(unlimited());
    let mut digest = high(1, "a");
    digest.digest = Some(Arc::new(Digest {
        id: DigestId(uuid::Uuid::nil()),
        text: "a storm".into(),
        members: [3, 2, 1],
    }));
    bench.receive([digest]);
    assert_eq!(only(&bench).in_flight, 6);
    bench.answer(fails(Fault::Destination));
    let status = only(&bench);
    assert_eq!((status.waiting, status.in_flight), ([3, 2, 1], 0));
}

#[test]
fn a_lane_whose_backlog_becomes_digests_says_so() {
    let mut settings = paced(Some(1.0));
    settings.channels[0].digest_after = Some(seconds(10));
    let mut bench = Bench::new(settings);
    bench.receive((1..=60).map(|n| normal(n, "a")));
    let status = only(&bench);
    assert_eq!((status.in_flight, status.folding), (60, false));
    bench.receive((61..=120).map(|n| normal(n, "a")));
    let status = only(&bench);
    assert_eq!((status.waiting[1], status.folding), (60, true));
}

#[test]
fn pages_follow_each_other_in_order_and_name_each_destination_once() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    bench.receive((10..40).map(|n| normal(n, &n.to_string())));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let filter = StatusFilter::default();
        let page = bench.engine.status(bench.now, &filter, after, 4);
        assert!(page.destinations.len() <= 4);
        seen.extend(page.destinations.iter().map(|status| status.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 35, "awake and asleep");
    assert!(seen.is_sorted());
    let names = (1..=5).chain(10..40);
    assert!(
        names
            .into_iter()
            .all(|n: i32| seen.contains(&destination(&n.to_string())))
    );
}

#[test]
fn an_answer_looks_at_so_many_lanes_and_says_where_to_go_on() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight: 100_000,
        max_in_flight_per_host: 100_000,
        ..unlimited()
    });
    bench.receive((0..10_000).map(|n| normal(n, &n.to_string())));
    let filter = StatusFilter {
        state: Some(DestinationState::Backoff),
        channel: None,
    };
    let mut after = None;
    let mut pages = 0;
    loop {
        let page = bench.engine.status(bench.now, &filter, after, 1_000);
        assert_eq!(page.destinations, []);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, 5, "two looks a lane");
}

#[test]
fn only_what_was_asked_for_is_told() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "b")]);
    bench.answer(fails(Fault::Destination));
    let ask = |state, channel: Option<&str>| {
        let filter = StatusFilter {
            state,
            channel: channel.map(ChannelKind::new),
        };
        let page = bench.engine.status(bench.now, &filter, None, 10);
        page.destinations.len()
    };
    assert_eq!(ask(None, None), 2);
    assert_eq!(ask(Some(DestinationState::Backoff), None), 1);
    assert_eq!(ask(Some(DestinationState::Sending), Some("slack")), 1);
    assert_eq!(ask(None, Some("webhook")), 0);
}
