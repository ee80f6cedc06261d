//! Members come, go, die and stand still.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use common::{AcceptedAlert, Severity};
use kafka::Format;

use crate::{
    member::{Member, Request, counts, until},
    rig::{HANG, PARTITIONS, Rig, alert, destination},
};

const CHANNELS: u32 = 30;
const LATENCY: Duration = Duration::from_millis(20);

/// Alerts to three channels each, a high one among three.
fn storm(first: u32, count: u32) -> Vec<AcceptedAlert> {
    let severity = |n| match n % 3 {
        0 => Severity::High,
        _ => Severity::Normal,
    };
    let channels = |n| [n, n + 10, n + 20].map(|n| n % CHANNELS);
    (first..first + count)
        .map(|n| alert(severity(n), &format!("message {n:05}"), &channels(n)))
        .collect()
}

async fn accept(rig: &Rig, alerts: &[AcceptedAlert]) {
    for alert in alerts {
        rig.accept(alert).await.unwrap();
    }
}

/// Accepts more, a little at a time, until `is_so`; answers how many it is then.
async fn accept_until(
    rig: &Rig,
    members: &[&Member],
    mut alerts: u32,
    is_so: impl Fn() -> bool,
) -> u32 {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < HANG, "never, after {alerts} alerts");
        accept(rig, &storm(alerts, 20)).await;
        alerts += 20;
        delivered(members, 3 * alerts as usize).await;
    }
    alerts
}

async fn delivered(members: &[&Member], count: usize) {
    let what = format!("{count} deliveries");
    until(&what, || {
        let sent: BTreeSet<String> = members
            .iter()
            .flat_map(|member| member.requests())
            .filter(|(_, request)| request.ended.is_some())
            .map(|(delivery, _)| delivery)
            .collect();
        sent.len() >= count
    })
    .await;
}

/// The requests of all members, in the order in which they began.
fn all(members: &[&Member]) -> Vec<(usize, String, Request)> {
    let each = members.iter().enumerate();
    let mut all: Vec<_> = each
        .flat_map(|(member, requests)| {
            let requests = requests.requests().into_iter();
            requests.map(move |(delivery, request)| (member, delivery, request))
        })
        .collect();
    all.sort_by_key(|(_, _, request)| request.begun);
    all
}

/// That first attempts at each channel are in the order of acceptance, within a severity.
fn assert_in_order(requests: &[(usize, String, Request)]) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<(String, String), String> = BTreeMap::new();
    for (_, delivery, request) in requests {
        if !seen.insert(delivery.clone()) {
            continue;
        }
        let (severity, text) = request.text.split_once(' ').unwrap();
        let line = (request.address.clone(), severity.to_owned());
        if let Some(before) = last.insert(line, text.to_owned()) {
            assert!(
                *before < *text,
                "{text} to {} after {before}",
                request.address
            );
        }
    }
}

fn partition_of(address: &str) -> i32 {
    let n: u32 = address.trim_start_matches('C').parse().unwrap();
    kafka::partition_of(destination(n).id, PARTITIONS)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_send_each_delivery_once_and_in_order() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let mut one = Member::start(&rig, LATENCY);
    let mut alerts = 200;
    accept(&rig, &storm(0, alerts)).await;
    until("the first delivers", || one.ended() > 50).await;
    let two = Member::start(&rig, LATENCY);
    alerts = accept_until(&rig, &[&one, &two], alerts, || two.ended() > 0).await;
    let before = all(&[&one, &two]).len();
    accept(&rig, &storm(alerts, 100)).await;
    alerts += 100;
    delivered(&[&one, &two], 3 * alerts as usize).await;
    let steady = &all(&[&one, &two])[before..];
    let mut owners: BTreeMap<i32, BTreeSet<usize>> = BTreeMap::new();
    for (member, _, request) in steady {
        let partition = partition_of(&request.address);
        owners.entry(partition).or_default().insert(*member);
    }
    // Whatever its severity, what concerns a lane is in one member's hands.
    assert!(
        owners.values().all(|members| members.len() == 1),
        "{owners:?}"
    );
    let members: BTreeSet<usize> = owners.into_values().flatten().collect();
    assert_eq!(members.len(), 2);

    accept(&rig, &storm(alerts, 50)).await;
    one.stop();
    accept(&rig, &storm(alerts + 50, 50)).await;
    alerts += 100;
    delivered(&[&one, &two], 3 * alerts as usize).await;
    let counts = counts(&[&one, &two]);
    assert_eq!(counts.len(), 3 * alerts as usize);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_in_order(&all(&[&one, &two]));
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_member_had_another_delivers() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let mut one = Member::start(&rig, LATENCY);
    let alerts = storm(0, 400);
    accept(&rig, &alerts[..100]).await;
    until("the first delivers", || one.ended() > 100).await;
    one.kill();
    let died = one.requests().last().unwrap().1.begun;
    accept(&rig, &alerts[100..200]).await;
    let two = Member::start(&rig, LATENCY);
    accept(&rig, &alerts[200..]).await;
    delivered(&[&one, &two], 1_200).await;
    let requests = all(&[&one, &two]);
    let twice = repeated(&requests);
    println!("sent twice after a kill: {}", twice.len());
    for delivery in &twice {
        let copies = requests.iter().filter(|(_, other, _)| other == delivery);
        let copies: Vec<_> = copies.collect();
        assert_eq!(copies.len(), 2, "{copies:?}");
        // The first of them was under way, or had just ended.
        assert_eq!((copies[0].0, copies[1].0), (0, 1));
        assert!(copies[0].2.begun + 2_000_000 > died, "{copies:?}");
    }
    assert_in_order(&requests);
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_suspended_sends_nothing_of_what_another_has() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let one = Member::start(&rig, LATENCY);
    let alerts = storm(0, 400);
    accept(&rig, &alerts[..100]).await;
    until("the first delivers", || one.ended() > 100).await;
    let two = Member::start(&rig, LATENCY);
    accept(&rig, &alerts[100..200]).await;
    delivered(&[&one, &two], 600).await;
    // It stands still with requests under way and more to send.
    accept(&rig, &alerts[200..300]).await;
    one.suspend();
    let before = one.requests();
    accept(&rig, &alerts[300..]).await;
    // Which is missed by then: what it had the other one has.
    delivered(&[&one, &two], 1_200).await;
    one.resume();
    // It joins again by itself.
    let delivers_again = || one.requests().len() > before.len();
    accept_until(&rig, &[&one, &two], 400, delivers_again).await;
    let begun_before: BTreeSet<&String> = before.iter().map(|(delivery, _)| delivery).collect();
    let requests = all(&[&one, &two]);
    let twice = repeated(&requests);
    println!("sent twice after a suspension: {}", twice.len());
    for delivery in &twice {
        assert!(begun_before.contains(delivery), "{delivery}");
    }
    let theirs: BTreeSet<String> = two.requests().into_iter().map(|(one, _)| one).collect();
    let after = &one.requests()[before.len()..];
    let again = after
        .iter()
        .filter(|(delivery, _)| theirs.contains(delivery));
    assert_eq!(again.count(), 0);
    fan_out.stop().await;
}

/// Deliveries that were sent more than once.
fn repeated(requests: &[(usize, String, Request)]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let deliveries = requests.iter().map(|(_, delivery, _)| delivery);
    let again = deliveries.filter(|delivery| !seen.insert(*delivery));
    again.cloned().collect()
}
