//! What is handed out is sent and recorded.

use super::{bench::*, *};

#[tokio::test(start_paused = true)]
async fn a_delivery_is_sent_with_the_current_credential_and_recorded() {
    let bench = Bench::start();
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    let sent = bench.channel.sent.lock().unwrap().clone();
    assert_eq!(
        sent,
        [("a".into(), "[normal] node1 down".into(), "rotated".into())]
    );
    let attempt = bench.queue.lock().settled[0][0].attempt.clone().unwrap();
    assert_eq!((attempt.number, attempt.status), (1, Some(200)));
    assert_eq!(attempt.provider_id.as_deref(), Some("1.2"));
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_text_are_sent_in_order() {
    let bench = Bench::start();
    bench.offer([lease_of(ChannelKind::SLACK, 1, "a", "one|two|three")]);
    bench.queue.until_settled(3).await;
    assert_eq!(bench.sent(), ["a: [normal] one", "a: two", "a: three"]);
    assert_eq!(
        bench.queue.outcomes(),
        [(1, "part_sent"), (1, "part_sent"), (1, "delivered")]
    );
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_come_during_a_write_share_the_next_one() {
    let bench = Bench::start();
    bench.offer((0..200).map(|sequence| lease(sequence, &format!("a{sequence}"))));
    bench.queue.until_settled(200).await;
    assert!(
        bench.queue.lock().calls <= 3,
        "{} writes",
        bench.queue.lock().calls
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_until_it_is_recorded() {
    let bench = Bench::start();
    bench.queue.lock().failures = 3;
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
    assert_eq!(bench.sent().len(), 1);
    assert_eq!(bench.queue.lock().calls, 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_when_its_wait_is_over_without_any_event() {
    let bench = Bench::start();
    let begun = Instant::now();
    bench.offer([lease(1, "w")]);
    bench.queue.until_settled(2).await;
    assert_eq!(bench.queue.outcomes(), [(1, "waiting"), (1, "delivered")]);
    assert!(begun.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_holds_up_no_other_destination() {
    let bench = Bench::start();
    bench.offer([lease(1, "hang"), lease(2, "hang"), lease(3, "b")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(3, "delivered")]);
    bench.channel.gate.add_permits(2);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.queue.outcomes(),
        [(3, "delivered"), (1, "delivered"), (2, "delivered")]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_says_was_cancelled_is_never_begun() {
    let bench = Bench::start();
    let cancelled = lease(2, "hang");
    let key = cancelled.key();
    bench.offer([lease(1, "hang"), cancelled, lease(3, "hang")]);
    bench.queue.offer(Ok(Received::Cancelled(vec![key])));
    bench.offer([lease(4, "b")]);
    bench.queue.until_settled(1).await;
    bench.channel.gate.add_permits(2);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.queue.outcomes(),
        [(4, "delivered"), (1, "delivered"), (3, "delivered")]
    );
    assert_eq!(bench.queue.lock().begun, [1, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_allowed() {
    let settings = EngineSettings {
        max_in_flight: 3,
        ..EngineSettings::default()
    };
    let bench = Bench::with(FakeQueue::default(), settings);
    bench.offer((0..10).map(|sequence| lease(sequence, &format!("h{sequence}"))));
    // Paused time passes only once all that can begin has begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.channel.under_way.load(Ordering::SeqCst), 3);
    bench.channel.gate.add_permits(10);
    bench.queue.until_settled(10).await;
    assert_eq!(bench.channel.most_under_way.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_panics_loses_neither_the_delivery_nor_the_lane() {
    let bench = Bench::start();
    bench.offer([lease(1, "panics")]);
    bench.queue.until_settled(2).await;
    let settled = bench.queue.lock().settled.concat();
    assert!(matches!(settled[0].outcome, Outcome::Waiting(_)));
    for (settlement, number) in settled.iter().zip(1..) {
        let attempt = settlement.attempt.as_ref().unwrap();
        assert_eq!(
            (attempt.number, attempt.result),
            (number, AttemptResult::MaybeAccepted)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_no_channel_serves_is_a_dead_letter() {
    let bench = Bench::start();
    bench.offer([lease_of(ChannelKind::new("pigeon"), 1, "a", "node1 down")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "dead")]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_to_hand_over_is_asked_again() {
    let bench = Bench::start();
    bench
        .queue
        .offer(Err(QueueError::Failed("disk I/O error".into())));
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_parked_is_fetched_and_sent_even_if_fetching_fails_at_first() {
    let queue = FakeQueue::default();
    queue.lock().parked = vec![lease(1, "a")];
    queue.lock().failures = 2;
    let bench = Bench::with(queue, EngineSettings::default());
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_limits_that_dispatchers_share() {
    let limits = Some(Limits::new(2, 2));
    let bench = Bench::limited(FakeQueue::default(), EngineSettings::default(), limits);
    bench.offer((1..=5).map(|n| lease(n, &format!("hang{n}"))));
    // The clock moves once nothing else can happen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.channel.gate.add_permits(5);
    bench.queue.until_settled(5).await;
    assert_eq!(bench.channel.most_under_way.load(Ordering::SeqCst), 2);
}
