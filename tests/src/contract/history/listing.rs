//! What the list of alerts promises.

use std::time::Duration;

use common::Severity::{High, Low, Normal};
use consumer::domain::Outcome;
use producer::ports::{AlertFilter, DeliveryState};

use super::{
    HistoryUnderTest, ManualClock,
    rig::{Rig, dead, user_id, waiting},
};

pub async fn alerts_are_listed_the_last_accepted_first<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let one = rig.accept(Normal, &[0]).await;
    let two = rig.accept_text(High, &[0, 1], "disk full").await;
    let page = rig.page(AlertFilter::default()).await;
    let ids: Vec<_> = page.items.iter().map(|item| item.alert.id).collect();
    assert_eq!(ids, [two.id, one.id]);
    let first = &page.items[0];
    assert_eq!(first.user_count, 2);
    assert_eq!(*first.alert.message, *"disk full");
    assert_eq!(first.alert.targets, two.targets);
    assert_eq!(first.states.of(DeliveryState::Queued), 2);
}

pub async fn pages_follow_each_other_without_gap_or_overlap<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let mut expected = vec![];
    for _ in 0..25 {
        expected.insert(0, rig.accept(Normal, &[0]).await.id);
    }
    let mut seen = vec![];
    let mut before = None;
    loop {
        let page = rig
            .history()
            .await
            .alerts(AlertFilter::default(), before, 10);
        let page = page.await.unwrap();
        seen.extend(page.items.iter().map(|item| item.alert.id));
        // What arrives meanwhile is on no later page.
        rig.accept(Normal, &[0]).await;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

pub async fn an_exact_last_page_says_that_it_is_the_last<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    rig.accept(Normal, &[0]).await;
    rig.accept(Normal, &[0]).await;
    for (limit, has_next) in [(1, true), (2, false), (3, false)] {
        let page = rig
            .history()
            .await
            .alerts(AlertFilter::default(), None, limit);
        assert_eq!(page.await.unwrap().next.is_some(), has_next, "{limit}");
    }
}

pub async fn alerts_are_found_by_severity_time_user_target_and_text<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let first = rig.accept_text(High, &[0], "장애 NODE1 down").await;
    rig.clock.advance(Duration::from_secs(60));
    let second = rig.accept_text(Low, &[1], "disk full").await;
    let by = |filter: AlertFilter| rig.found(filter);
    let all = AlertFilter::default;
    let (first, second) = (vec![first.id], vec![second.id]);
    let both = [second.clone(), first.clone()].concat();

    let severity = |severity| AlertFilter {
        severity: Some(severity),
        ..all()
    };
    assert_eq!(by(severity(High)).await, first);
    assert_eq!(by(severity(Normal)).await, []);
    let start = ManualClock::BEGINNING;
    let later = start.plus(Duration::from_secs(60));
    assert_eq!(
        by(AlertFilter {
            since: Some(start),
            ..all()
        })
        .await,
        both
    );
    assert_eq!(
        by(AlertFilter {
            since: Some(later),
            ..all()
        })
        .await,
        second
    );
    assert_eq!(
        by(AlertFilter {
            until: Some(start),
            ..all()
        })
        .await,
        first
    );
    assert_eq!(
        by(AlertFilter {
            until: Some(later),
            ..all()
        })
        .await,
        both
    );
    let user = |n| AlertFilter {
        user: Some(user_id(n)),
        ..all()
    };
    assert_eq!(by(user(0)).await, first);
    assert_eq!(by(user(7)).await, []);
    let target = |name: &str| AlertFilter {
        target: Some(name.into()),
        ..all()
    };
    assert_eq!(by(target("@@operators")).await, both);
    assert_eq!(by(target("@@operator")).await, []);
    let text = |text: &str| AlertFilter {
        text: Some(text.into()),
        ..all()
    };
    assert_eq!(by(text("node1 DOWN")).await, first);
    assert_eq!(by(text("장애")).await, first);
    assert_eq!(by(text("%")).await, []);
}

pub async fn filters_hold_all_together<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let wanted = rig.accept_text(High, &[0], "node1").await;
    rig.accept_text(Low, &[0], "node1").await;
    rig.accept_text(High, &[1], "node1").await;
    rig.accept_text(High, &[0], "node2").await;
    let filter = AlertFilter {
        severity: Some(High),
        user: Some(user_id(0)),
        text: Some("node1".into()),
        state: Some(DeliveryState::Queued),
        target: Some("@all".into()),
        since: Some(ManualClock::BEGINNING),
        until: Some(ManualClock::BEGINNING),
    };
    assert_eq!(rig.found(filter).await, [wanted.id]);
}

pub async fn alerts_are_found_by_the_state_of_a_delivery<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let mut alerts = vec![];
    for _ in 0..3 {
        alerts.push(rig.accept(Normal, &[0]).await.id);
    }
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    rig.settle(&[&come[1]], dead("x")).await;
    rig.settle(&[&come[2]], waiting()).await;
    let cancelled = rig.accept(Normal, &[0]).await;
    rig.cancel(cancelled.id).await;
    let queued = rig.accept(Normal, &[0]).await;
    for (state, expected) in [
        (DeliveryState::Dead, alerts[1]),
        (DeliveryState::Waiting, alerts[2]),
        (DeliveryState::Cancelled, cancelled.id),
        (DeliveryState::Queued, queued.id),
    ] {
        let filter = AlertFilter {
            state: Some(state),
            ..AlertFilter::default()
        };
        assert_eq!(rig.found(filter).await, [expected], "{state:?}");
    }
    let delivered = AlertFilter {
        state: Some(DeliveryState::Delivered),
        ..AlertFilter::default()
    };
    assert_eq!(rig.found(delivered).await.last(), Some(&alerts[0]));
}

pub async fn a_time_filter_holds_although_the_clock_was_set_back<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    rig.clock.advance(Duration::from_secs(7_200));
    let ahead = rig.accept(Normal, &[0]).await;
    rig.clock.set_back(Duration::from_secs(3_600));
    let behind = rig.accept(Normal, &[0]).await;
    let since = AlertFilter {
        since: Some(ahead.accepted_at),
        ..AlertFilter::default()
    };
    assert_eq!(rig.found(since).await, [ahead.id]);
    let until = AlertFilter {
        until: Some(behind.accepted_at),
        ..AlertFilter::default()
    };
    assert_eq!(rig.found(until).await, [behind.id]);
    for alert in [ahead, behind] {
        assert_eq!(rig.detail(&alert).await.summary.alert.id, alert.id);
    }
}

pub async fn a_page_of_rare_alerts_ends_early_and_is_gone_on_with<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let rare = rig.accept_text(Normal, &[], "rare").await;
    // More than one page looks at.
    for _ in 0..20 {
        let accepting = (0..1_000).map(|_| rig.accept(Normal, &[]));
        join(accepting).await;
    }
    let filter = AlertFilter {
        text: Some("rare".into()),
        ..AlertFilter::default()
    };
    let mut before = None;
    let mut found = vec![];
    let mut pages = 0;
    loop {
        let page = rig.history().await.alerts(filter.clone(), before, 10);
        let page = page.await.unwrap();
        found.extend(page.items.iter().map(|item| item.alert.id));
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, [rare.id]);
    assert!(pages > 1);
}

pub async fn an_alert_to_nobody_is_listed<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.accept(Normal, &[]).await;
    let page = rig.page(AlertFilter::default()).await;
    assert_eq!(page.items[0].alert.id, alert.id);
    assert_eq!(page.items[0].user_count, 0);
}

/// Waits for all of `futures`, which go on side by side.
async fn join<F: Future>(futures: impl Iterator<Item = F>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}
