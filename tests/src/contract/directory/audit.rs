//! The audit log, which the directory writes and others append to.

use std::{net::IpAddr, sync::Arc, time::Duration};

use common::{ApiTokenId, UtcMillis};
use producer::{
    domain::{
        Action, ApiToken, ApiTokenName, ApiTokenRecord, ApiTokenSecret, AuditEntry, AuditRecord,
        Caller, Command, Deed, Grant, Scope, Who,
    },
    ports::{AuditFilter, Mode},
};
use uuid::Uuid;

use super::{
    DirectoryUnderTest, ManualClock,
    rig::{Rig, create_group, create_user, group_id, put_user, user_id},
};

/// The holder of token `n`, at 192.0.2.`n`.
fn holder(n: u8) -> Caller {
    let scopes = Scope::ALL.into_iter().collect();
    let token = ApiToken {
        record: ApiTokenRecord {
            id: ApiTokenId(Uuid::from_u128(n.into())),
            name: ApiTokenName::parse("ci").unwrap(),
            hash: ApiTokenSecret::generate().hash(),
            grant: Grant::new(scopes, None).unwrap(),
            expires_at: None,
        },
        created_at: UtcMillis(0),
        revoked_at: None,
    };
    Caller {
        who: Who::Token(Arc::new(token)),
        address: Some(IpAddr::from([192, 0, 2, n])),
    }
}

fn append(by: &Caller, subject: u128) -> AuditRecord {
    AuditRecord {
        by: by.clone(),
        deed: Deed::new(
            Action::DeadLetterDiscarded,
            Some(Uuid::from_u128(subject)),
            "장애".into(),
        ),
    }
}

async fn lines<D: DirectoryUnderTest>(rig: &Rig<D>, filter: AuditFilter) -> Vec<AuditEntry> {
    rig.audit.entries(filter, None, 100).await.unwrap()
}

async fn all<D: DirectoryUnderTest>(rig: &Rig<D>) -> Vec<AuditEntry> {
    lines(rig, AuditFilter::default()).await
}

fn words(entries: &[AuditEntry]) -> Vec<String> {
    let word = |entry: &AuditEntry| format!("{} {}", entry.action, entry.detail);
    entries.iter().map(word).collect()
}

pub async fn what_is_changed_is_on_record_with_who_and_from_where<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.clock.advance(Duration::from_millis(7));
    let by = holder(9);
    let executed = rig
        .port
        .execute(vec![create_user(1, "ann")], Mode::Commit, &by);
    executed.await.unwrap();
    rig.commit(vec![Command::RemoveUser(user_id(1))]).await;
    let found = all(&rig).await;
    assert_eq!(words(&found), ["user.deleted ann", "user.created ann"]);
    let [deleted, created] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((&*deleted.who, &deleted.address), ("local", &None));
    assert_eq!(*created.who, Uuid::from_u128(9).to_string());
    assert_eq!(created.address.as_deref(), Some("192.0.2.9"));
    assert_eq!(created.subject, Some(user_id(1).0));
    assert_eq!(created.at, UtcMillis(ManualClock::BEGINNING.0 + 7));
    assert!(created.sequence < deleted.sequence);
}

pub async fn what_changes_nothing_is_not_on_record<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.commit(vec![create_user(1, "ann")]).await;
    let before = all(&rig).await;
    rig.commit(vec![put_user(1, "ann", Some("token1"))]).await;
    rig.commit(vec![]).await;
    let taken = vec![create_user(2, "ann")];
    rig.execute(taken, Mode::Commit).await.unwrap_err();
    let tried = vec![create_user(2, "ben")];
    rig.execute(tried, Mode::DryRun).await.unwrap();
    assert_eq!(all(&rig).await, before);
}

pub async fn an_import_is_one_line<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.commit(vec![
        create_user(1, "ann"),
        create_user(2, "ben"),
        create_group(1, "everyone", &[1, 2]),
    ])
    .await;
    let found = all(&rig).await;
    let said = "directory.imported users: 2 created, 0 updated; groups: 1 created, 0 updated: ann, ben, everyone";
    assert_eq!(words(&found), [said]);
    assert_eq!(found[0].subject, None);
}

pub async fn what_else_is_appended_stands_among_the_changes<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.audit.append(append(&holder(1), 7)).await.unwrap();
    rig.commit(vec![Command::RemoveGroup(group_id(2))]).await;
    let found = all(&rig).await;
    let words = words(&found);
    assert_eq!(
        words[..2],
        ["group.deleted admins", "dead_letter.discarded 장애"]
    );
    assert_eq!(found[1].subject, Some(Uuid::from_u128(7)));
}

pub async fn the_log_is_read_from_its_end_in_pages<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    for n in 0..5 {
        rig.audit.append(append(&Caller::LOCAL, n)).await.unwrap();
    }
    let mut subjects = Vec::new();
    let mut before = None;
    loop {
        let page = rig.audit.entries(AuditFilter::default(), before, 2);
        let page = page.await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        subjects.extend(page.iter().map(|entry| entry.subject.unwrap().as_u128()));
    }
    assert_eq!(subjects, [4, 3, 2, 1, 0]);
}

pub async fn the_log_is_read_by_time_and_by_whom<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    for n in 0..4 {
        let by = holder((n % 2) as u8);
        rig.audit.append(append(&by, n)).await.unwrap();
        rig.clock.advance(Duration::from_secs(1));
    }
    let subjects = async |filter| {
        let found = lines(&rig, filter).await;
        let subjects = found.iter().map(|entry| entry.subject.unwrap().as_u128());
        subjects.collect::<Vec<_>>()
    };
    let at = |seconds: i64| Some(UtcMillis(ManualClock::BEGINNING.0 + seconds * 1_000));
    let between = AuditFilter {
        since: at(1),
        until: at(2),
        who: None,
    };
    assert_eq!(subjects(between).await, [2, 1]);
    let of_one = AuditFilter {
        who: Some(Uuid::from_u128(1).to_string().into()),
        ..AuditFilter::default()
    };
    assert_eq!(subjects(of_one).await, [3, 1]);
    let of_nobody = AuditFilter {
        who: Some("nobody".into()),
        ..AuditFilter::default()
    };
    assert!(subjects(of_nobody).await.is_empty());
}

pub async fn the_log_outlives_the_process<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.audit.append(append(&holder(1), 7)).await.unwrap();
    let before = all(&rig).await;
    assert_eq!(before.len(), 2);
    let rig = rig.restart().await;
    assert_eq!(all(&rig).await, before);
    rig.audit.append(append(&holder(1), 8)).await.unwrap();
    let after = all(&rig).await;
    assert_eq!(after[1..], before);
}
