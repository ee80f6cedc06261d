//! Which credential a delivery is sent with.

use std::sync::Arc;

use common::{Severity::Normal, UserDestinationId, UtcMillis};
use consumer::{
    domain::Lease,
    ports::{Credentials, DeliveryQueue, Received},
};
use producer::{
    domain::{Caller, Command, DestinationRecord, Place, resolve},
    ports::{AlertQueue, DirectoryStore, Mode},
};

use crate::{
    Store,
    fixtures::{FakeClock, alert, put_user, settings, user_id},
};

/// A store in which an alert to these users was received.
struct Rig {
    store: Store,
    lease: Lease,
    folder: tempfile::TempDir,
}

impl Rig {
    /// One user on channel1 with token1; where there is a second, on the same
    /// with the same.
    async fn with_users(count: u128) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::default());
        let store = Store::open(settings(folder.path()), clock).unwrap();
        let users = (1..=count).map(|n| put_user(n, "channel1", "token1"));
        let executed = store
            .directory
            .execute(users.collect(), Mode::Commit, &Caller::LOCAL)
            .await;
        let targets = ["@user1".into(), "@user2".into()];
        let found = resolve(&executed.unwrap().directory, &targets);
        assert_eq!(found.deliveries.len(), 1);
        let accepted = alert(Normal, UtcMillis(0), found.deliveries);
        store.queue.accept(accepted, None).await.unwrap();
        let lease = loop {
            if let Received::Leases(leases) = store.queue.receive(1).await.unwrap() {
                break leases[0].clone();
            }
        };
        Self {
            store,
            lease,
            folder,
        }
    }

    async fn after(self, command: Command) -> Self {
        let executed = self
            .store
            .directory
            .execute(vec![command], Mode::Commit, &Caller::LOCAL)
            .await;
        executed.unwrap();
        self
    }

    fn token(&self) -> String {
        assert!(self.folder.path().exists());
        let credential = self.store.directory.current(&self.lease);
        credential.secret.expose().to_owned()
    }
}

#[tokio::test]
async fn a_rotated_token_is_used_at_once() {
    let rig = Rig::with_users(1).await;
    assert_eq!(rig.token(), "token1");
    let rig = rig.after(put_user(1, "channel1", "token2")).await;
    assert_eq!(rig.token(), "token2");
}

#[tokio::test]
async fn a_user_who_has_moved_to_another_channel_is_still_who_it_is_sent_for() {
    let rig = Rig::with_users(1).await;
    let rig = rig.after(put_user(1, "channel2", "token2")).await;
    assert_eq!(rig.token(), "token2");
}

#[tokio::test]
async fn a_deleted_users_delivery_is_sent_with_the_credential_of_acceptance() {
    let rig = Rig::with_users(1).await;
    let rig = rig.after(put_user(1, "channel1", "token2")).await;
    let rig = rig.after(Command::RemoveUser(user_id(1))).await;
    assert_eq!(rig.token(), "token1");
}

#[tokio::test]
async fn of_several_users_the_first_who_is_still_there_counts() {
    let rig = Rig::with_users(2).await;
    let rig = rig.after(put_user(2, "channel1", "token2")).await;
    assert_eq!(rig.token(), "token1");
    let rig = rig.after(Command::RemoveUser(user_id(1))).await;
    assert_eq!(rig.token(), "token2");
}

#[tokio::test]
async fn a_user_who_still_has_the_channel_comes_before_one_who_has_moved() {
    let rig = Rig::with_users(2).await;
    let rig = rig.after(put_user(1, "channel2", "token2")).await;
    assert_eq!(rig.token(), "token1");
}

/// A user's webhook of that number, with a secret of its own.
fn put_hook(n: u8) -> Command {
    let place = Place::parse("webhook", &format!("https://example.org/{n}")).unwrap();
    let last = char::from(b'A' + n);
    let secret = format!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS{last}");
    let record = DestinationRecord {
        id: UserDestinationId(uuid::Uuid::from_u128(n.into())),
        credential: Some(place.credential(&secret).unwrap()),
        place,
    };
    Command::PutDestination(user_id(9), record, None)
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_never_signed_with_the_secret_of_another() {
    let mut rig = Rig::with_users(1).await;
    rig = rig.after(put_user(9, "channel9", "token9")).await;
    rig = rig.after(put_hook(1)).await.after(put_hook(2)).await;
    let directory = rig.store.directory.snapshot();
    let place = directory.user(user_id(9)).unwrap().destinations.further()[0]
        .place
        .clone();
    rig.lease.destination = place.destination;
    rig.lease.credential = place.credential;
    rig.lease.recipients[0].user = user_id(9);
    assert!(rig.token().ends_with("LaSB"));
    let id = UserDestinationId(uuid::Uuid::from_u128(1));
    let rig = rig.after(Command::RemoveDestination(user_id(9), id)).await;
    assert!(rig.token().ends_with("LaSB"), "that of acceptance");
}

#[tokio::test]
async fn a_warning_is_sent_with_the_credential_of_its_place() {
    let mut rig = Rig::with_users(1).await;
    let place = Place::parse("webhook", "https://example.org/hook").unwrap();
    let hook = |secret: &str| {
        Command::PutDestination(
            user_id(1),
            DestinationRecord {
                id: UserDestinationId(uuid::Uuid::from_u128(9)),
                credential: Some(place.credential(secret).unwrap()),
                place: place.clone(),
            },
            None,
        )
    };
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let second = "whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    rig = rig.after(hook(first)).await.after(hook(second)).await;
    rig.lease.destination = Arc::new(place.destination().for_warnings());
    assert_eq!(rig.token(), second);
}
