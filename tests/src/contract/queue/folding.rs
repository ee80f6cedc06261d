//! What folding promises: a digest stands for its members until it ends.

use std::sync::Arc;

use common::Severity::{High, Low, Normal};
use consumer::domain::{Digest, DigestId, Lease, LeaseKey, Outcome, Progress};

use super::{
    QueueUnderTest,
    rig::{Rig, dead, positions, settlement, wait, waiting},
};

/// A digest of `leases`, led by the first.
fn digest_of(leases: &[Lease]) -> Arc<Digest> {
    let text = "[normal]\n• node1 down\n• 노드2 & <3>";
    let mut members = [0; 3];
    for lease in leases {
        members[usize::from(lease.alert.severity.code())] += 1;
    }
    let keys: Vec<_> = leases.iter().map(Lease::key).collect();
    Arc::new(Digest {
        id: DigestId::of(leases[0].delivery_id(), text, &keys),
        text: text.into(),
        members,
    })
}

fn folded(leases: &[Lease]) -> Outcome {
    Outcome::Folded {
        digest: digest_of(leases),
        members: leases.iter().map(Lease::key).collect::<Box<[LeaseKey]>>(),
    }
}

/// That many alerts to one user, received and folded but for the last.
async fn all_but_one_folded<Q: QueueUnderTest>(count: usize) -> (Rig<Q>, Vec<Lease>) {
    let mut rig = Rig::<Q>::with_users(1).await;
    for severity in [High, Normal, Low].into_iter().cycle().take(count) {
        rig.accept(severity, 1).await;
    }
    let all = rig.receive_all().await;
    assert_eq!(all.len(), count);
    fold(&rig, &all[..count - 1]).await;
    (rig, all)
}

async fn fold<Q: QueueUnderTest>(rig: &Rig<Q>, leases: &[Lease]) {
    let folded = settlement(&leases[0], None, folded(leases));
    rig.settle([folded]).await;
}

pub async fn a_digest_comes_again_after_a_restart_word_for_word_and_its_members_do_not<
    Q: QueueUnderTest,
>() {
    let (rig, all) = all_but_one_folded::<Q>(5).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(positions(&again), [all[0].position, all[4].position]);
    assert_eq!(again[0].digest, Some(digest_of(&all[..4])));
    assert_eq!(again[0].progress, Progress::default());
    assert_eq!(again[1].digest, None);
}

pub async fn a_folded_delivery_is_not_received_again_in_this_process<Q: QueueUnderTest>() {
    let (mut rig, _) = all_but_one_folded::<Q>(4).await;
    rig.assert_nothing_comes().await;
}

pub async fn when_a_digest_ends_all_that_it_carries_has_ended<Q: QueueUnderTest>() {
    for outcome in [Outcome::Delivered, dead()] {
        let (rig, all) = all_but_one_folded::<Q>(5).await;
        rig.settle([settlement(&all[0], Some(1), outcome)]).await;
        let mut rig = rig.restart().await;
        assert_eq!(positions(&rig.receive_all().await), [all[4].position]);
        assert_eq!(rig.parked().await, []);
        // The last word.
        fold(&rig, &all[..4]).await;
        rig.settle_each(&all[..4], &waiting(1)).await;
        let mut rig = rig.restart().await;
        assert_eq!(positions(&rig.receive_all().await), [all[4].position]);
    }
}

pub async fn a_digest_waits_as_any_delivery_and_its_members_with_it<Q: QueueUnderTest>() {
    let (rig, all) = all_but_one_folded::<Q>(4).await;
    rig.settle([settlement(&all[0], Some(2), waiting(5))]).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(positions(&again), [all[0].position, all[3].position]);
    assert_eq!(again[0].digest, Some(digest_of(&all[..3])));
    let progress = Progress {
        attempts: 2,
        parts_sent: 0,
        wait: Some(wait(5)),
        ..Progress::default()
    };
    assert_eq!(again[0].progress, progress);
}

pub async fn what_a_digest_carried_is_parked_when_it_is_taken_apart<Q: QueueUnderTest>() {
    let (rig, all) = all_but_one_folded::<Q>(5).await;
    let apart = settlement(&all[0], Some(1), Outcome::TakenApart);
    rig.settle([apart.clone()]).await;
    // A repeated call changes nothing.
    rig.settle([apart]).await;
    let mut rig = rig.restart().await;
    assert_eq!(positions(&rig.receive_all().await), [all[4].position]);
    let lane = all[0].destination.id.0;
    let parked = [(lane, Normal, 2), (lane, High, 2)];
    assert_eq!(rig.parked().await, parked);
    for lease in &all[..4] {
        let unparked = rig.unpark(lease, None, 10).await;
        assert!(unparked.iter().any(|one| one.position == lease.position));
        assert!(unparked.iter().all(|one| one.digest.is_none()));
    }
    // And can be folded again.
    fold(&rig, &all[..3]).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(again[0].digest, Some(digest_of(&all[..3])));
}

pub async fn what_is_parked_can_be_folded_and_is_parked_no_longer<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    for _ in 0..4 {
        rig.accept(Normal, 1).await;
    }
    let all = rig.receive_all().await;
    rig.settle(
        all.iter()
            .map(|lease| settlement(lease, None, Outcome::Parked)),
    )
    .await;
    fold(&rig, &all[..3]).await;
    assert_eq!(
        positions(&rig.unpark(&all[0], None, 10).await),
        [all[3].position]
    );
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(positions(&again), [all[0].position]);
    assert!(again[0].digest.is_some());
}

pub async fn a_repeated_fold_changes_nothing<Q: QueueUnderTest>() {
    let (rig, all) = all_but_one_folded::<Q>(4).await;
    fold(&rig, &all[..3]).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(positions(&again), [all[0].position, all[3].position]);
    rig.settle([settlement(&all[0], Some(1), Outcome::Delivered)])
        .await;
    rig.settle_each(&all[3..], &Outcome::Delivered).await;
    let mut rig = rig.restart().await;
    rig.assert_nothing_comes().await;
}
