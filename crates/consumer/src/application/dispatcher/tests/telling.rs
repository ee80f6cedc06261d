//! What operators are told, and how destinations stand.

use super::{bench::*, *};

/// With severity high.
fn urgent(lease: Lease) -> Lease {
    let mut alert = (*lease.alert).clone();
    alert.severity = Severity::High;
    Lease {
        alert: Arc::new(alert),
        ..lease
    }
}

/// A warning to the lease's place.
fn warning(lease: Lease) -> Lease {
    let lease = urgent(lease);
    Lease {
        destination: Arc::new(lease.destination.for_warnings()),
        ..lease
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_a_high_delivery_died_and_not_that_another_or_a_warning_did() {
    let bench = Bench::start();
    let lost = urgent(lease(1, "x1"));
    let delivery = lost.delivery_id();
    bench.offer([lost, lease(2, "x2"), warning(lease(3, "x3"))]);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.mishaps(),
        [Mishap::HighDied {
            deliveries: 1,
            delivery,
            place: "slack x1".into(),
            reason: "refused for good: channel_not_found".into(),
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_a_breaker_opened_and_whether_by_a_warning() {
    for is_warning in [false, true] {
        let bench = Bench::start();
        let refused = lease(1, "r");
        bench.offer([if is_warning {
            warning(refused)
        } else {
            refused
        }]);
        bench.queue.until_settled(1).await;
        let opened = Mishap::BreakerOpened {
            of: BreakerOf::Credential(CredentialId(1)),
            error: "invalid_auth".into(),
            by_warning: is_warning,
        };
        // Its probes are refused too, which is no news.
        bench.queue.until_settled(4).await;
        assert_eq!(bench.mishaps(), [opened]);
    }
}

#[tokio::test(start_paused = true)]
async fn how_destinations_stand_is_told_while_it_runs_with_places_that_only_the_queue_knows() {
    let queue = FakeQueue::default();
    queue.lock().parked = vec![lease(1, "asleep")];
    // The fetch fails all along.
    queue.lock().failures = usize::MAX;
    let bench = Bench::with(queue, EngineSettings::default());
    bench.offer([lease(2, "hang"), lease(3, "hang")]);
    bench.channel.begun.notified().await;
    let filter = StatusFilter::default();
    let page = bench.inspector.status(filter, None, 10).await.unwrap();
    let mut told: Vec<_> = page
        .destinations
        .iter()
        .map(|status| {
            let place = status.destination.as_ref().unwrap();
            (place.shown(), status.state)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            ("asleep".to_owned(), DestinationState::Parked),
            ("hang".to_owned(), DestinationState::Sending)
        ]
    );
    let of_another_kind = StatusFilter {
        state: None,
        channel: Some(ChannelKind::WEBHOOK),
    };
    let page = bench.inspector.status(of_another_kind, None, 10).await;
    assert_eq!(page.unwrap().destinations, []);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_are_answered_one_after_the_other_and_hold_up_no_delivery() {
    let bench = Bench::start();
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let inspector = bench.inspector.clone();
            tokio::spawn(async move {
                let filter = StatusFilter::default();
                inspector.status(filter, None, 1).await.unwrap();
                Instant::now()
            })
        })
        .collect();
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    let delivered = Instant::now();
    let mut answered = Vec::new();
    for one in asked {
        answered.push(one.await.unwrap());
    }
    let last = answered.into_iter().max().unwrap();
    assert!(last >= delivered + 40 * BETWEEN_ANSWERS);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_a_dispatcher_that_has_ended_is_told_so() {
    let mut bench = Bench::start();
    bench.stop();
    bench.running.await.unwrap().unwrap();
    let answer = bench.inspector.status(StatusFilter::default(), None, 1);
    assert_eq!(answer.await, Err(NobodyDelivers));
}
