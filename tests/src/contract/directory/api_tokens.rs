//! API tokens, which are part of the directory.

use std::time::Duration;

use common::{ApiTokenId, UtcMillis};
use producer::{
    domain::{
        ApiTokenName, ApiTokenRecord, ApiTokenSecret, Command, DirectoryError, Effect, Grant,
        Scope, TokenRefusal,
    },
    ports::{Mode, StoreError},
};
use uuid::Uuid;

use super::{
    DirectoryUnderTest,
    rig::{Rig, group_id, written},
};

fn token_id(n: u128) -> ApiTokenId {
    ApiTokenId(Uuid::from_u128(n))
}

/// Token `n`, for alerts to these groups if any are given, else for everything.
fn record(n: u128, name: &str, secret: &ApiTokenSecret, groups: Option<&[u128]>) -> ApiTokenRecord {
    let scopes: &[Scope] = match groups {
        Some(_) => &[Scope::AlertsWrite],
        None => &Scope::ALL,
    };
    let groups = groups.map(|groups| groups.iter().map(|n| group_id(*n)).collect());
    ApiTokenRecord {
        id: token_id(n),
        name: ApiTokenName::parse(name).unwrap(),
        hash: secret.hash(),
        grant: Grant::new(scopes.iter().copied().collect(), groups).unwrap(),
        expires_at: None,
    }
}

fn create(n: u128, name: &str, groups: Option<&[u128]>) -> Command {
    Command::CreateApiToken(record(n, name, &ApiTokenSecret::generate(), groups))
}

fn revoke(n: u128) -> Command {
    Command::RevokeApiToken(token_id(n))
}

pub async fn a_token_is_known_by_its_secret_until_it_is_revoked<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    assert!(!rig.snapshot().has_api_tokens());
    let secret = ApiTokenSecret::generate();
    rig.commit(vec![Command::CreateApiToken(record(
        1, "ci", &secret, None,
    ))])
    .await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    let known = snapshot.authenticate(&secret, UtcMillis(0)).unwrap();
    assert_eq!(known.record.id, token_id(1));
    let other = ApiTokenSecret::generate();
    let refusal = snapshot.authenticate(&other, UtcMillis(0)).unwrap_err();
    assert_eq!(refusal, TokenRefusal::Unknown);
    rig.commit(vec![revoke(1)]).await;
    let is_refused = |rig: &Rig<D>| {
        let snapshot = rig.snapshot();
        let refusal = snapshot.authenticate(&secret, UtcMillis(0)).unwrap_err();
        assert_eq!(refusal, TokenRefusal::Revoked);
        assert!(snapshot.has_api_tokens());
    };
    is_refused(&rig);
    is_refused(&rig.restart().await);
}

pub async fn tokens_are_kept_as_they_were_made<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.clock.advance(Duration::from_secs(60));
    let mut expiring = record(3, "장애알림", &ApiTokenSecret::generate(), None);
    expiring.expires_at = Some(UtcMillis(1_900_000_000_123));
    rig.commit(vec![
        create(1, "ci", None),
        create(2, "scripts", Some(&[1, 2])),
        Command::CreateApiToken(expiring),
    ])
    .await;
    rig.clock.advance(Duration::from_secs(60));
    rig.commit(vec![revoke(1)]).await;
    let before = written(&rig.snapshot());
    rig.assert_is(&before).await;
}

pub async fn a_revoked_token_stays_and_its_name_is_free<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.commit(vec![
        create(1, "ci", None),
        revoke(1),
        create(2, "ci", None),
    ])
    .await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    assert_eq!(snapshot.api_tokens().count(), 2);
    let named = snapshot.api_token_named("ci").unwrap();
    assert_eq!(named.record.id, token_id(2));
}

pub async fn a_token_that_is_revoked_again_keeps_its_time<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.commit(vec![create(1, "ci", None)]).await;
    assert_eq!(rig.commit(vec![revoke(1)]).await, [Effect::Updated]);
    let revoked_at = rig.snapshot().api_token(token_id(1)).unwrap().revoked_at;
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(rig.commit(vec![revoke(1)]).await, [Effect::Unchanged]);
    let rig = rig.restart().await;
    let again = rig.snapshot().api_token(token_id(1)).unwrap().revoked_at;
    assert_eq!(again, revoked_at);
}

pub async fn a_restriction_outlives_its_groups<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![create(1, "ci", Some(&[1, 2]))]).await;
    rig.commit(vec![
        Command::RemoveGroup(group_id(1)),
        Command::RemoveGroup(group_id(2)),
    ])
    .await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    let token = snapshot.api_token(token_id(1)).unwrap();
    assert_eq!(
        **token.record.grant.groups().unwrap(),
        [group_id(1), group_id(2)]
    );
}

pub async fn the_rules_of_tokens_refuse_what_they_forbid<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![create(1, "ci", None)]).await;
    let before = written(&rig.snapshot());
    for (command, reason) in [
        (create(1, "other", None), DirectoryError::IdTaken),
        (create(2, "ci", None), DirectoryError::ApiTokenNameTaken),
        (
            create(2, "other", Some(&[1, 9])),
            DirectoryError::NoSuchGroup,
        ),
        (revoke(2), DirectoryError::NoSuchApiToken),
    ] {
        let refusal = rig.execute(vec![command], Mode::Commit).await.unwrap_err();
        assert_eq!(refusal, StoreError::Refused(vec![(0, reason)]));
    }
    rig.assert_is(&before).await;
}

pub async fn a_dry_run_makes_no_token<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    let commands = vec![create(1, "ci", None)];
    let tried = rig.execute(commands, Mode::DryRun).await.unwrap();
    assert!(tried.directory.has_api_tokens());
    assert!(!rig.snapshot().has_api_tokens());
    let rig = rig.restart().await;
    assert!(!rig.snapshot().has_api_tokens());
}
