//! What replaying promises.

use std::time::Duration;

use common::Severity::{High, Normal};
use consumer::domain::Outcome;
use producer::{
    domain::Command,
    ports::{DeadLetterFilter, DeliveryState, Mode, ReplayError, Selection, Stage},
};

use super::{
    HistoryUnderTest,
    rig::{Rig, dead, record, user_id, waiting},
};

fn all_dead() -> Selection {
    Selection::DeadLetters(DeadLetterFilter::default())
}

pub async fn a_replayed_dead_letter_comes_again_with_its_attempts<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.dead_letters(High, &[0, 1]).await;
    rig.clock.advance(Duration::from_secs(60));
    let replayed = rig.control().await.replay_one(rig.id(&alert, 1)).await;
    assert!(matches!(replayed, Ok(Some(_))), "{replayed:?}");
    let come = rig.receive_all().await.leases;
    assert_eq!(come.len(), 1);
    assert_eq!(come[0].delivery_id(), rig.id(&alert, 1));
    assert_eq!(come[0].progress.attempts, 1);
    let now = Some(rig.clock.utc());
    assert_eq!(come[0].progress.replayed_at, now);
    let known = rig.record(&alert, 1).await;
    assert_eq!(
        (known.state, known.replayed_at),
        (DeliveryState::Queued, now)
    );
    assert!(!known.repeated && known.reason.is_none());
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    let known = rig.record(&alert, 1).await;
    let numbers: Vec<_> = known.attempts.iter().map(|one| one.number).collect();
    assert_eq!(
        (known.state, numbers),
        (DeliveryState::Delivered, vec![1, 2])
    );
    assert_eq!(
        rig.dead(DeadLetterFilter::default()).await,
        [rig.id(&alert, 0)]
    );
    rig.assert_nothing_comes().await;
}

pub async fn a_replayed_delivery_comes_again_after_a_restart<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.dead_letters(Normal, &[0]).await;
    rig.control()
        .await
        .replay_one(rig.id(&alert, 0))
        .await
        .unwrap();
    for _ in 0..2 {
        rig.receive_all().await;
    }
    let rig = rig.restart().await;
    let come = rig.receive_all().await.leases;
    assert_eq!(come.len(), 1);
    assert_eq!(come[0].progress.replayed_at, Some(alert.accepted_at));
}

pub async fn a_delivered_one_is_replayed_whole_and_marked_as_repeated<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.accept(Normal, &[0]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    rig.control()
        .await
        .replay_one(rig.id(&alert, 0))
        .await
        .unwrap();
    let come = rig.receive_all().await.leases;
    assert_eq!(come[0].progress.parts_sent, 0);
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    let known = rig.record(&alert, 0).await;
    assert_eq!(known.state, DeliveryState::Delivered);
    assert!(known.repeated);
    assert_eq!(known.attempts.len(), 2);
}

pub async fn a_cancelled_one_can_be_replayed<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.accept(Normal, &[0]).await;
    rig.cancel(alert.id).await;
    rig.control()
        .await
        .replay_one(rig.id(&alert, 0))
        .await
        .unwrap();
    let come = rig.receive_all().await.leases;
    assert_eq!(come.len(), 1);
    assert_eq!(rig.record(&alert, 0).await.withdrawn_at, None);
    // And cancelled again.
    rig.control()
        .await
        .replay_one(rig.id(&alert, 0))
        .await
        .unwrap_err();
    assert_eq!(rig.cancel(alert.id).await, 1);
}

pub async fn what_is_on_its_way_is_not_replayed<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let alert = rig.accept(Normal, &[0, 1, 2]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[1]], waiting()).await;
    rig.settle_untried(&[&come[2]], Outcome::Parked).await;
    for user in 0..3 {
        let refused = rig.control().await.replay_one(rig.id(&alert, user)).await;
        assert_eq!(refused, Err(ReplayError::OnItsWay));
    }
    // Nor what was cancelled while its request is.
    rig.ports.queue.deliveries.begins(come[0].key());
    rig.cancel(alert.id).await;
    let refused = rig.control().await.replay_one(rig.id(&alert, 0)).await;
    match S::TELLS_OF_REQUESTS {
        true => assert_eq!(refused, Err(ReplayError::OnItsWay)),
        // Who has the request under way passes over it.
        false => assert_eq!(refused, Ok(Some(Stage::Requested))),
    }
    rig.assert_nothing_comes().await;
}

pub async fn an_unknown_delivery_is_not_replayed<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.accept(Normal, &[0]).await;
    let unknown = rig.control().await.replay_one(rig.id(&alert, 1)).await;
    assert_eq!(unknown, Ok(None));
}

pub async fn dead_letters_are_replayed_by_their_filters<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    rig.dead_letters(Normal, &[0]).await;
    let wanted = rig.accept(Normal, &[0, 1]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0], &come[1]], dead("is_archived")).await;
    let filter = DeadLetterFilter {
        reason: Some("is_archived".into()),
        ..DeadLetterFilter::default()
    };
    let selection = Selection::DeadLetters(filter);
    let replayed = rig
        .control()
        .await
        .replay(selection, None, 100, Mode::Commit);
    let replayed = replayed.await.unwrap();
    assert_eq!((replayed.count, replayed.next), (2, None));
    let come = rig.receive_all().await.leases;
    assert_eq!(come.len(), 2);
    assert!(come.iter().all(|lease| lease.alert.id == wanted.id));
    assert_eq!(rig.dead(DeadLetterFilter::default()).await.len(), 1);
}

pub async fn a_dry_run_counts_and_replays_nothing<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    rig.dead_letters(Normal, &[0, 1]).await;
    let would = rig
        .control()
        .await
        .replay(all_dead(), None, 100, Mode::DryRun);
    assert_eq!(would.await.unwrap().count, 2);
    rig.assert_nothing_comes().await;
    assert_eq!(rig.dead(DeadLetterFilter::default()).await.len(), 2);
}

pub async fn a_replay_goes_on_where_it_stopped<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(5).await;
    rig.dead_letters(Normal, &[0, 1, 2, 3, 4]).await;
    let mut before = None;
    let mut counts = vec![];
    loop {
        let replayed = rig
            .control()
            .await
            .replay(all_dead(), before, 2, Mode::Commit);
        let replayed = replayed.await.unwrap();
        counts.push(replayed.count);
        before = replayed.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(rig.receive_all().await.leases.len(), 5);
}

pub async fn all_that_went_to_a_place_within_a_time_is_replayed<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let mut alerts = vec![];
    for _ in 0..4 {
        alerts.push(rig.accept(Normal, &[0, 1]).await);
        rig.clock.advance(Duration::from_secs(60));
    }
    let come = rig.receive_all().await.leases;
    let leases: Vec<_> = come.iter().collect();
    rig.settle(&leases[..4], Outcome::Delivered).await;
    rig.settle(&leases[4..6], dead("x")).await;
    let selection = Selection::Destination {
        destination: rig.users[1].destinations.first().destination.id,
        since: alerts[1].accepted_at,
        until: alerts[3].accepted_at,
    };
    let replayed = rig
        .control()
        .await
        .replay(selection, None, 100, Mode::Commit);
    assert_eq!(replayed.await.unwrap().count, 2);
    let again = rig.receive_all().await.leases;
    let mut ids: Vec<_> = again.iter().map(|lease| lease.delivery_id()).collect();
    ids.sort();
    let mut expected = [rig.id(&alerts[1], 1), rig.id(&alerts[2], 1)];
    expected.sort();
    assert_eq!(ids, expected);
}

pub async fn a_replay_is_possible_after_the_token_has_changed_or_the_user_is_gone<
    S: HistoryUnderTest,
>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.dead_letters(Normal, &[1]).await;
    rig.change(vec![Command::PutUser(record(1, "new"))]).await;
    let replayed = rig.control().await.replay_one(rig.id(&alert, 1)).await;
    assert!(matches!(replayed, Ok(Some(_))), "{replayed:?}");
    let come = rig.receive_all().await.leases;
    assert_eq!(come[0].delivery_id(), rig.id(&alert, 1));
    rig.settle(&[&come[0]], dead("x")).await;
    rig.change(vec![Command::RemoveUser(user_id(1))]).await;
    // The dead letter still holds its token, so this one can go out.
    let replayed = rig.control().await.replay_one(rig.id(&alert, 1)).await;
    assert!(matches!(replayed, Ok(Some(_))), "{replayed:?}");
}
