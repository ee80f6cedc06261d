//! What a queue promises of alerts that are large, and of a backlog that is.

use std::collections::BTreeMap;

use common::{
    Delivery,
    Severity::{self, High, Low, Normal},
};
use consumer::domain::Position;

use super::{QueueUnderTest, rig::Rig};

/// 100,000 deliveries: 500 channels with 200 tokens each.
fn many<Q: QueueUnderTest>(rig: &Rig<Q>) -> Vec<Delivery> {
    let channels = 0..500;
    channels
        .flat_map(|channel| (0..200).map(move |token| rig.delivery(channel, token)))
        .collect()
}

/// Receives until so many have come of each severity, in chunks, and checks that
/// each severity's come in order and none twice.
async fn receive_in_order<Q: QueueUnderTest>(
    rig: &mut Rig<Q>,
    expected: &[(Severity, usize)],
) -> BTreeMap<Severity, Position> {
    let mut left: BTreeMap<_, _> = expected.iter().copied().collect();
    let mut last: BTreeMap<Severity, Position> = BTreeMap::new();
    while left.values().any(|count| *count > 0) {
        for lease in rig.receive(4_096).await {
            let severity = lease.alert.severity;
            let before = last.insert(severity, lease.position);
            assert!(
                before < Some(lease.position),
                "{before:?} {:?}",
                lease.position
            );
            *left.get_mut(&severity).unwrap() -= 1;
        }
    }
    last
}

pub async fn an_alert_with_100_000_deliveries_passes_in_chunks<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(500).await;
    rig.accept_these(Normal, many(&rig)).await;
    let last = receive_in_order(&mut rig, &[(Normal, 100_000)]).await;
    assert_eq!(last[&Normal].ordinal, 99_999);
    rig.assert_nothing_comes().await;
    let mut rig = rig.restart().await;
    let last = receive_in_order(&mut rig, &[(Normal, 100_000)]).await;
    assert_eq!(last[&Normal].ordinal, 99_999);
    rig.assert_nothing_comes().await;
}

pub async fn what_does_not_fit_into_memory_passes_in_order<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(500).await;
    // More than an adapter keeps in memory, then some of each severity, which
    // follow it on disk, and all of it while some is being taken.
    rig.accept_these(Normal, many(&rig)).await;
    rig.accept_these(Normal, many(&rig)).await;
    for severity in [Low, Normal, High, Normal] {
        rig.accept(severity, 300).await;
    }
    let first = rig.receive(100).await;
    assert!(first.iter().all(|lease| lease.alert.severity == High));
    rig.accept(Normal, 300).await;
    rig.accept(Low, 300).await;
    let expected = [(High, 300 - first.len()), (Normal, 200_900), (Low, 600)];
    receive_in_order(&mut rig, &expected).await;
    rig.assert_nothing_comes().await;
    rig.accept(Low, 2).await;
    assert_eq!(rig.receive_all().await.len(), 2);
}
