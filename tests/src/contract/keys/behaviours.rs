//! What keys promise: of all requests under one, one is published, under one id.

use std::time::Duration;

use common::AlertId;
use producer::ports::{Claim, IdempotencyKey, KeysError};

use super::{
    KeysUnderTest,
    rig::{Rig, done, key},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub async fn a_key_that_nobody_has_is_claimed<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    rig.claimed(&key(1, "first")).await;
}

pub async fn a_complete_key_gives_its_answer_to_every_twin<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let alert = rig.claimed(&key(1, "first")).await;
    rig.port.complete(&key(1, "first"), alert).await.unwrap();
    for _ in 0..3 {
        assert_eq!(rig.claim(&key(1, "again")).await.1, done("first"));
    }
    let rig = rig.restart().await;
    assert_eq!(rig.claim(&key(1, "later")).await.1, done("first"));
}

pub async fn another_request_under_the_key_is_a_conflict_at_any_time<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let alert = rig.claimed(&key(1, "first")).await;
    assert_eq!(rig.claim(&key(2, "other")).await.1, Claim::Conflict);
    rig.port.release(&key(1, "first"), alert).await.unwrap();
    assert_eq!(rig.claim(&key(2, "other")).await.1, Claim::Conflict);
    rig.port.complete(&key(1, "first"), alert).await.unwrap();
    assert_eq!(rig.claim(&key(2, "other")).await.1, Claim::Conflict);
    assert_eq!(rig.claim(&key(1, "again")).await.1, done("first"));
}

pub async fn the_same_key_of_another_scope_is_another_key<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let of = |scope: &str| IdempotencyKey {
        scope: scope.into(),
        ..key(1, scope)
    };
    for scope in ["", "caller1", "caller2"] {
        let alert = rig.claimed(&of(scope)).await;
        rig.port.complete(&of(scope), alert).await.unwrap();
    }
    for scope in ["", "caller1", "caller2"] {
        assert_eq!(rig.claim(&of(scope)).await.1, done(scope));
    }
}

pub async fn of_many_twins_at_once_one_publishes_and_the_others_get_its_answer<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let answers = rig.at_once(30, |n| key(1, &n.to_string())).await;
    let first = answers.iter().find(|one| one.1 == Ok(Claim::Claimed));
    let first = first.unwrap().0;
    for (n, claim, published) in answers {
        assert_eq!(published.is_some(), n == first, "{n}");
        if n != first {
            assert_eq!(claim, Ok(done(&first.to_string())), "{n}");
        }
    }
}

pub async fn of_many_rivals_at_once_one_publishes<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let answers = rig.at_once(30, |n| key(n, "")).await;
    let count = |claim: &Claim| {
        answers
            .iter()
            .filter(|one| one.1.as_ref() == Ok(claim))
            .count()
    };
    assert_eq!(count(&Claim::Claimed), 1);
    assert_eq!(count(&Claim::Conflict), 29);
}

pub async fn a_released_key_goes_on_at_once_under_the_first_id<K: KeysUnderTest>() {
    let mut rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    for _ in 0..3 {
        rig.port.release(&key(1, "first"), first).await.unwrap();
        rig = rig.restart().await;
        let answer = "first".into();
        let expected = Claim::Pending {
            alert: first,
            answer,
        };
        assert_eq!(rig.claim(&key(1, "again")).await.1, expected);
    }
    rig.port.complete(&key(1, "again"), first).await.unwrap();
    assert_eq!(rig.claim(&key(1, "later")).await.1, done("first"));
}

pub async fn of_many_who_find_a_dead_publisher_one_goes_on_under_the_first_id<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    let rig = rig.restart().await;
    rig.end_leases().await;
    let answers = rig.at_once(30, |n| key(1, &n.to_string())).await;
    let published: Vec<_> = answers.iter().filter_map(|one| one.2).collect();
    assert_eq!(published, [first]);
    let told = answers.iter().filter(|one| one.1 == Ok(done("first")));
    assert_eq!(told.count(), 29);
}

pub async fn a_publisher_that_was_given_up_may_still_complete_the_key<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    rig.end_leases().await;
    let (_, claim) = rig.claim(&key(1, "again")).await;
    assert!(matches!(claim, Claim::Pending { alert, .. } if alert == first));
    rig.port.complete(&key(1, "first"), first).await.unwrap();
    assert_eq!(rig.claim(&key(1, "third")).await.1, done("first"));
    // The one who went on comes to its end too, well or not.
    rig.port.release(&key(1, "again"), first).await.unwrap();
    assert_eq!(rig.claim(&key(1, "fourth")).await.1, done("first"));
}

pub async fn a_twin_of_a_publisher_that_hangs_is_told_to_come_again<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    let (one, other) = (key(1, "one"), key(1, "other"));
    let answers = tokio::join!(
        rig.port.claim(&one, AlertId::generate()),
        rig.port.claim(&other, AlertId::generate()),
    );
    // Once the lease is over one goes on, and the other has waited long enough.
    let answers = [answers.0, answers.1];
    let goes_on = |answer: &Result<Claim, KeysError>| matches!(answer, Ok(Claim::Pending { alert, .. }) if *alert == first);
    assert_eq!(answers.iter().filter(|one| goes_on(one)).count(), 1);
    assert!(answers.contains(&Err(KeysError::Busy)), "{answers:?}");
}

pub async fn a_key_is_remembered_for_a_day_and_no_longer<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    rig.port.complete(&key(1, "first"), first).await.unwrap();
    rig.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(rig.claim(&key(1, "again")).await.1, done("first"));
    rig.clock.advance(Duration::from_secs(1));
    let second = rig.claimed(&key(2, "second")).await;
    // What the first may still say is of no concern to the second.
    rig.port.complete(&key(1, "first"), first).await.unwrap();
    rig.port.release(&key(2, "second"), second).await.unwrap();
    let expected = Claim::Pending {
        alert: second,
        answer: "second".into(),
    };
    assert_eq!(rig.claim(&key(2, "third")).await.1, expected);
}

pub async fn an_end_that_is_noted_again_changes_nothing<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let first = rig.claimed(&key(1, "first")).await;
    for _ in 0..2 {
        rig.port.complete(&key(1, "first"), first).await.unwrap();
        rig.port.release(&key(1, "first"), first).await.unwrap();
    }
    assert_eq!(rig.claim(&key(1, "again")).await.1, done("first"));
    // Of a key that nobody knows, too.
    let unknown = IdempotencyKey {
        key: "unknown".into(),
        ..key(1, "")
    };
    rig.port.complete(&unknown, first).await.unwrap();
    rig.port.release(&unknown, first).await.unwrap();
    rig.claimed(&unknown).await;
}

pub async fn keys_and_answers_may_be_any_text<K: KeysUnderTest>() {
    let rig = Rig::<K>::empty().await;
    let odd = IdempotencyKey {
        scope: "it's; -- %s {}".into(),
        key: "k".repeat(255) + "장애",
        fingerprint: [0; 16],
        answer: "{\"unknownTargets\":[\"\\\"@@장애\\\"\"]}".into(),
    };
    let alert = rig.claimed(&odd).await;
    rig.port.complete(&odd, alert).await.unwrap();
    assert_eq!(rig.claim(&odd).await.1, done(&odd.answer));
}
