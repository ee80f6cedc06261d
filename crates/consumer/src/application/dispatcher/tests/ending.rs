//! Shutting down, and a queue that closes or gives lanes away.

use super::{bench::*, *};

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_requests_under_way_records_them_and_begins_no_other() {
    let mut bench = Bench::start();
    bench.offer([lease(1, "hang"), lease(2, "hang")]);
    bench.channel.begun.notified().await;
    bench.stop();
    // The dispatcher has taken note before anything else can happen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bench.running.is_finished());
    bench.channel.gate.add_permits(2);
    bench.running.await.unwrap().unwrap();
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
    assert_eq!(bench.channel.sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_at_the_deadline_though_a_request_hangs() {
    let mut bench = Bench::start();
    bench.offer([lease(1, "hang")]);
    bench.channel.begun.notified().await;
    bench.stop();
    let begun = Instant::now();
    bench.running.await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_secs(), 25);
    assert!(bench.queue.outcomes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_closes_ends_the_dispatcher() {
    let bench = Bench::start();
    bench.queue.offer(Err(QueueError::Closed));
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_the_limits_is_not_begun_when_the_dispatcher_ends() {
    let limits = Some(Limits::new(1, 1));
    let mut bench = Bench::limited(FakeQueue::default(), EngineSettings::default(), limits);
    bench.offer([lease(1, "hang1"), lease(2, "hang2")]);
    bench.channel.begun.notified().await;
    bench.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.channel.gate.add_permits(2);
    (&mut bench.running).await.unwrap().unwrap();
    assert_eq!(bench.queue.outcomes().len(), 1);
    assert_eq!(bench.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_of_what_another_consumer_may_have() {
    let queue = FakeQueue::default();
    queue.lock().is_lost = true;
    let mut bench = Bench::with(queue, EngineSettings::default());
    bench.offer([lease(1, "a")]);
    bench.queue.offer(Err(QueueError::Closed));
    (&mut bench.running).await.unwrap().unwrap();
    assert!(bench.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_closes_before_all_is_recorded_ends_the_dispatcher_with_an_error() {
    let bench = Bench::start();
    bench.offer([lease(1, "hang")]);
    bench.channel.begun.notified().await;
    bench.queue.lock().is_lost = true;
    bench.channel.gate.add_permits(1);
    let ended = bench.running.await.unwrap();
    assert!(matches!(ended, Err(QueueError::Closed)));
}
