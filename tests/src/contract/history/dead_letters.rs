//! What the list of dead letters promises.

use std::time::Duration;

use common::Severity::Normal;
use producer::ports::{DeadLetterFilter, DeliveryState};

use super::{
    HistoryUnderTest,
    rig::{Rig, dead},
};

pub async fn dead_letters_are_listed_the_last_accepted_first_in_pages<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let one = rig.dead_letters(Normal, &[0, 1, 2]).await;
    let two = rig.dead_letters(Normal, &[0, 1]).await;
    let expected = [(&two, 1), (&two, 0), (&one, 2), (&one, 1), (&one, 0)];
    let expected = expected.map(|(alert, user)| rig.id(alert, user));
    let mut seen = vec![];
    let mut before = None;
    loop {
        let page = rig
            .history()
            .await
            .dead_letters(DeadLetterFilter::default(), before, 2);
        let page = page.await.unwrap();
        seen.extend(page.items.iter().map(|one| one.detail.delivery.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

pub async fn dead_letters_are_found_by_channel_reason_and_time<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let old = rig.dead_letters(Normal, &[0]).await;
    rig.clock.advance(Duration::from_secs(60));
    let new = rig.accept(Normal, &[1]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], dead("refused for good: is_archived"))
        .await;
    let (old_id, new_id) = (rig.id(&old, 0), rig.id(&new, 1));
    let all = DeadLetterFilter::default;
    let channel = |kind: &str| DeadLetterFilter {
        channel: Some(kind.into()),
        ..all()
    };
    assert_eq!(rig.dead(channel("slack")).await, [new_id, old_id]);
    assert_eq!(rig.dead(channel("webhook")).await, []);
    let reason = |text: &str| DeadLetterFilter {
        reason: Some(text.into()),
        ..all()
    };
    assert_eq!(rig.dead(reason("is_archived")).await, [new_id]);
    assert_eq!(rig.dead(reason("channel_not")).await, [old_id]);
    let since = |time| DeadLetterFilter {
        since: Some(time),
        ..all()
    };
    assert_eq!(rig.dead(since(new.accepted_at)).await, [new_id]);
    assert_eq!(rig.dead(since(old.accepted_at)).await, [new_id, old_id]);
}

pub async fn a_discarded_dead_letter_is_gone_from_the_list_and_stays_in_the_record<
    S: HistoryUnderTest,
>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.dead_letters(Normal, &[0, 1]).await;
    let id = rig.id(&alert, 0);
    assert_eq!(rig.control().await.discard(id).await, Ok(true));
    assert_eq!(
        rig.dead(DeadLetterFilter::default()).await,
        [rig.id(&alert, 1)]
    );
    let record = rig.record(&alert, 0).await;
    assert_eq!(record.state, DeliveryState::Dead);
    assert_eq!(record.withdrawn_at, Some(alert.accepted_at));
    assert_eq!(record.reason.as_deref(), Some("channel_not_found"));
    assert_eq!(rig.control().await.discard(id).await, Ok(false));
    let queued = rig.accept(Normal, &[0]).await;
    assert_eq!(
        rig.control().await.discard(rig.id(&queued, 0)).await,
        Ok(false)
    );
}
