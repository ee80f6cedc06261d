//! What recording promises: once, in any order of the logs, by any producer.

use std::{sync::Arc, time::Duration};

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Credential, CredentialId, Delivery, Destination,
    Gtid, Recipient, Recipients, Secret, Severity, UserId,
};
use consumer::{
    domain::{Attempt, AttemptResult, Lease, Outcome, Settlement, Wait},
    ports::{DeliveryQueue, Received},
};
use producer::ports::{
    AlertFilter, AlertQueue, Batch, ControlStore, DeadLetterFilter, DeliveryPlace, DeliveryState,
    EventId, Happening, History, HistoryWriter, RecordError, SAME_ALERT_WITHIN,
};
use tests::contract::ManualClock;
use uuid::Uuid;

use crate::site::{Site, connect, patient, record};

/// An alert to the users of these numbers, each on a channel of their own.
pub(crate) async fn accept(site: &Site, users: &[u128]) -> Arc<Alert> {
    let accepted_at = site.clock.utc();
    let alert = Arc::new(Alert {
        id: AlertId::at(accepted_at),
        caller: None,
        gtid: Gtid::random(),
        severity: Severity::Normal,
        message: "node1 \u{0} down".into(),
        verbatim: false,
        targets: ["@all".into()].into(),
        accepted_at,
    });
    let deliveries = users.iter().map(|user| delivery(*user)).collect();
    let accepted = AcceptedAlert {
        alert: alert.clone(),
        deliveries,
    };
    site.run.accept(accepted, None).await.unwrap();
    alert
}

fn delivery(user: u128) -> Delivery {
    let address = format!("channel{user}");
    Delivery {
        destination: Arc::new(Destination::new(ChannelKind::SLACK, "", &address)),
        credential: Arc::new(Credential {
            // As of a message that was found in the queue.
            id: CredentialId(0),
            secret: Secret::new(format!("token{user}")),
        }),
        recipients: Recipients::from_elem(
            Recipient {
                user: UserId(Uuid::from_u128(user)),
                target: 0,
            },
            1,
        ),
    }
}

/// The deliveries that are at hand.
pub(crate) async fn receive(site: &Site, count: usize) -> Vec<Lease> {
    let mut come = Vec::new();
    while come.len() < count {
        if let Received::Leases(leases) = site.run.receive(count).await.unwrap() {
            come.extend(leases);
        }
    }
    come
}

pub(crate) async fn settle(site: &Site, lease: &Lease, number: u32, outcome: Outcome) {
    let settlement = Settlement {
        lease: lease.key(),
        attempt: Some(Attempt {
            number,
            started_at: site.clock.utc(),
            took: Duration::from_millis(7),
            result: AttemptResult::Refused,
            status: Some(500),
            error: Some("internal\u{0}error".into()),
            provider_id: None,
        }),
        parts_sent: 0,
        outcome,
    };
    site.run.settle(vec![settlement]).await.unwrap();
}

pub(crate) fn dead() -> Outcome {
    let reason = "channel_not_found".to_owned();
    Outcome::Dead { reason }
}

pub(crate) fn waiting() -> Outcome {
    Outcome::Waiting(Wait {
        until: ManualClock::BEGINNING.plus(Duration::from_secs(60)),
        fault: consumer::domain::Fault::Destination,
        asked: false,
    })
}

/// Three alerts of which one was delivered at the second attempt, one died, and one is
/// on its way.
async fn three(site: &Site) -> Vec<Arc<Alert>> {
    let mut alerts = vec![];
    for user in [1, 2, 3] {
        alerts.push(accept(site, &[user]).await);
    }
    let leases = receive(site, 3).await;
    settle(site, &leases[0], 1, waiting()).await;
    settle(site, &leases[0], 2, Outcome::Delivered).await;
    settle(site, &leases[1], 1, dead()).await;
    alerts
}

/// All that the history tells of these alerts, in words.
async fn told(history: &dyn History, alerts: &[Arc<Alert>]) -> Vec<String> {
    let mut told = vec![];
    for alert in alerts {
        let detail = history.alert(alert.id, 0, 1_000).await.unwrap();
        told.push(format!("{detail:?}"));
    }
    let page = history.alerts(AlertFilter::default(), None, 1_000).await;
    told.push(format!("{:?}", page.unwrap()));
    let dead = history.dead_letters(DeadLetterFilter::default(), None, 1_000);
    told.push(format!("{:?}", dead.await.unwrap()));
    told
}

/// What happened, in order: the alert and its delivery's new state, if it is about one.
pub(crate) async fn happened(history: &dyn History) -> Vec<(AlertId, Option<DeliveryState>)> {
    let end = history.now();
    let mut after = EventId::default();
    let mut happened = vec![];
    while after.commit < end.commit {
        let events = history.events(after, usize::MAX).await.unwrap();
        happened.extend(events.items.iter().map(|event| {
            let state = match event.happening {
                Happening::Accepted { .. } => None,
                Happening::Delivery { state, .. } => Some(state),
            };
            (event.alert.id, state)
        }));
        after = events.next;
    }
    happened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_records_again_change_nothing_and_tell_nothing() {
    let site = Site::new().await;
    let alerts = three(&site).await;
    let all = site.queue.records();
    site.record(all.clone()).await;
    let before = told(&*site.store.history, &alerts).await;
    let happened_before = happened(&*site.store.history).await;
    // All of them, one by one, and from the middle on.
    site.record(all.clone()).await;
    for outcome in all.outcomes.clone() {
        let batch = Batch {
            outcomes: vec![outcome],
            ..Batch::default()
        };
        site.record(batch).await;
    }
    for alert in all.alerts.clone() {
        let batch = Batch {
            alerts: vec![alert],
            ..Batch::default()
        };
        site.record(batch).await;
    }
    assert_eq!(told(&*site.store.history, &alerts).await, before);
    assert_eq!(happened(&*site.store.history).await, happened_before);
    let open = site.sql("SELECT sum(open) FROM alert_block");
    assert_eq!(open.trim(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_make_the_same_history_however_they_are_cut_into_batches() {
    let whole = Site::new().await;
    let alerts = three(&whole).await;
    let all = whole.queue.records();
    whole.record(all.clone()).await;
    let expected = told(&*whole.store.history, &alerts).await;
    let single = Site::new().await;
    for alert in all.alerts {
        let batch = Batch {
            alerts: vec![alert],
            ..Batch::default()
        };
        single.record(batch).await;
    }
    for outcome in all.outcomes {
        let batch = Batch {
            outcomes: vec![outcome],
            ..Batch::default()
        };
        single.record(batch).await;
    }
    assert_eq!(told(&*single.store.history, &alerts).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_comes_before_its_alert_is_told_of_after_it() {
    let site = Site::new().await;
    let alerts = three(&site).await;
    let Batch {
        alerts: accepted,
        outcomes,
    } = site.queue.records();
    let only = |outcomes| Batch {
        outcomes,
        ..Batch::default()
    };
    site.record(only(outcomes)).await;
    // Nobody sees what belongs to nothing.
    assert_eq!(happened(&*site.store.history).await, []);
    let dead = || DeadLetterFilter::default();
    let page = site
        .store
        .history
        .dead_letters(dead(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 0);
    let batch = Batch {
        alerts: accepted,
        ..Batch::default()
    };
    site.record(batch).await;
    let [one, two, three] = [0, 1, 2].map(|n| alerts[n].id);
    use DeliveryState::{Dead, Delivered, Waiting};
    let expected = [
        (one, None),
        (two, None),
        (three, None),
        (one, Some(Waiting)),
        (one, Some(Delivered)),
        (two, Some(Dead)),
    ];
    assert_eq!(happened(&*site.store.history).await, expected);
    let page = site
        .store
        .history
        .dead_letters(dead(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let detail = site.detail(one).await.unwrap();
    assert_eq!(detail.deliveries[0].attempts.len(), 2);
    let open = site.sql("SELECT sum(open) FROM alert_block");
    assert_eq!(open.trim(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_id_that_comes_again_the_first_counts_and_much_later_it_is_another_alert() {
    let site = Site::new().await;
    let alert = accept(&site, &[1]).await;
    let entry = site.queue.records().alerts.remove(0);
    let first = entry.sequence;
    let at = |sequence| {
        let mut entry = entry.clone();
        entry.sequence = sequence;
        entry.body.message = format!("at {sequence}");
        Batch {
            alerts: vec![entry],
            ..Batch::default()
        }
    };
    site.record_new().await;
    // Each counts from the one before, which was one too.
    let second = first + SAME_ALERT_WITHIN;
    let third = second + SAME_ALERT_WITHIN;
    for sequence in [first + 1, second, third] {
        site.record(at(sequence)).await;
    }
    let page = || site.store.history.alerts(AlertFilter::default(), None, 10);
    let items = page().await.unwrap().items;
    let sequences: Vec<_> = items.iter().map(|item| item.sequence).collect();
    assert_eq!(sequences, [first]);
    assert_eq!(*items[0].alert.message, *"node1 \u{fffd} down");
    let other = third + SAME_ALERT_WITHIN + 1;
    site.record(at(other)).await;
    let items = page().await.unwrap().items;
    let sequences: Vec<_> = items.iter().map(|item| item.sequence).collect();
    assert_eq!(sequences, [other, first]);
    let found = site.detail(alert.id).await.unwrap();
    assert_eq!(found.summary.sequence, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn producers_share_the_logs_and_leave_nothing_out_and_nothing_twice() {
    const ALERTS: usize = 300;
    let site = Site::new().await;
    let mut alerts = vec![];
    for n in 0..ALERTS {
        alerts.push(accept(&site, &[n as u128 % 9, 9]).await);
    }
    let leases = receive(&site, 2 * ALERTS).await;
    for (n, lease) in leases.iter().enumerate() {
        match n % 3 {
            0 => settle(&site, lease, 1, dead()).await,
            _ => settle(&site, lease, 1, Outcome::Delivered).await,
        }
    }
    let Batch {
        alerts: accepted,
        outcomes,
    } = site.queue.records();
    // Each log is read by one producer, in small batches, and one of them by a second
    // that believes it has it still.
    let mut readers = vec![];
    for log in [0, 1, 2, 3, 3] {
        let store = connect(&site.url, &site.clock).await;
        let mine: Vec<_> = outcomes
            .iter()
            .filter(|one| one.log == log)
            .cloned()
            .collect();
        readers.push(tokio::spawn(async move {
            for outcomes in mine.chunks(7) {
                let batch = Batch {
                    outcomes: outcomes.to_vec(),
                    ..Batch::default()
                };
                record(&*store.history, batch).await;
            }
        }));
    }
    let history = site.store.history.clone();
    readers.push(tokio::spawn(async move {
        for alerts in accepted.chunks(11) {
            let batch = Batch {
                alerts: alerts.to_vec(),
                ..Batch::default()
            };
            record(&*history, batch).await;
        }
    }));
    for reader in readers {
        reader.await.unwrap();
    }
    let happened = happened(&*site.store.history).await;
    assert_eq!(happened.len(), ALERTS + 2 * ALERTS);
    for alert in &alerts {
        let of = happened.iter().filter(|(id, _)| *id == alert.id);
        let of: Vec<_> = of.map(|(_, state)| state.is_some()).collect();
        assert_eq!(of, [false, true, true]);
    }
    let open = site.sql("SELECT sum(open), sum(low + normal + high) FROM alert_block");
    assert_eq!(open.trim(), format!("0|{ALERTS}"));
    assert_eq!(site.sql("SELECT count(*) FROM history_untold").trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_keeps_others_off_until_it_is_released_recorded_or_a_minute_old() {
    let site = Site::new().await;
    accept(&site, &[1]).await;
    let lease = receive(&site, 1).await.remove(0);
    settle(&site, &lease, 1, dead()).await;
    site.record_new().await;
    let place = DeliveryPlace {
        sequence: lease.position.sequence,
        ordinal: 0,
    };
    let store = &site.store.history;
    let claim = async || {
        let claims = store.claim(vec![place]).await.unwrap();
        format!("{claims:?}").starts_with("[Claimed")
    };
    assert!(claim().await);
    assert!(!claim().await);
    store.release(vec![place]).await.unwrap();
    assert!(claim().await);
    site.clock.advance(Duration::from_secs(59));
    assert!(!claim().await);
    site.clock.advance(Duration::from_secs(1));
    assert!(claim().await);
    // The token that came with the delivery, which is in no directory.
    site.clock.advance(Duration::from_secs(60));
    let claims = store.claim(vec![place]).await.unwrap();
    let producer::ports::ReplayClaim::Claimed(ended) = &claims[0] else {
        panic!("{claims:?}");
    };
    assert_eq!(ended.credential.as_ref().unwrap().secret.expose(), "token1");
    let nowhere = DeliveryPlace {
        sequence: 1,
        ordinal: 0,
    };
    let claims = store.claim(vec![nowhere]).await.unwrap();
    assert!(matches!(claims[0], producer::ports::ReplayClaim::NoSuch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_just_now_is_waited_for() {
    let site = Site::new().await;
    let other = patient(&site.url, &site.clock, Duration::from_secs(120)).await;
    let alert = accept(&site, &[1]).await;
    let looking = tokio::spawn({
        let id = alert.id;
        async move { other.history.alert(id, 0, 10).await.unwrap() }
    });
    site.record_new().await;
    assert!(looking.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_from_one_that_fails() {
    let mut server = tests::services::Postgres::start();
    let clock = Arc::new(ManualClock::default());
    let store = connect(&server.url(), &clock).await;
    let queue = tests::model_queue::ModelQueue::new(clock.clone());
    let run = tests::model_queue::Run::start(queue.clone());
    let site = Site {
        url: server.url(),
        clock,
        queue,
        run,
        store,
    };
    let alert = accept(&site, &[1]).await;
    let batch = site.queue.records();
    server.stop();
    let recorded = site.store.history.record(batch.clone()).await;
    assert!(
        matches!(recorded, Err(RecordError::Unavailable(_))),
        "{recorded:?}"
    );
    let read = site
        .store
        .history
        .alerts(AlertFilter::default(), None, 10)
        .await;
    assert!(
        matches!(read, Err(producer::ports::HistoryError::Unavailable(_))),
        "{read:?}"
    );
    server.start_again();
    site.record(batch).await;
    assert!(site.detail(alert.id).await.is_some());
}
