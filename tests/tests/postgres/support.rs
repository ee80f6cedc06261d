//! Databases, stores on them, and commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{GroupId, SystemClock, UserId};
use postgres::{DatabaseUrl, Postgres, Settings};
use producer::{
    domain::{
        Address, Caller, Command, Description, Directory, GroupName, GroupRecord, Token, UserName,
        UserRecord,
    },
    ports::{DirectoryStore, Executed, Mode, StoreError},
};
use tests::{harness::LONG, services};
use uuid::Uuid;

/// A database of its own on the server that the tests share.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("db{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let url = server().create_database(&name);
        Self { name, url }
    }

    /// Runs SQL as a person with `psql` would.
    pub(crate) fn sql(&self, sql: &str) -> String {
        server().sql(&self.name, sql)
    }

    pub(crate) async fn connect(&self) -> Postgres {
        connect(&self.url).await
    }

    /// A session that stays open, for transactions of several steps.
    pub(crate) async fn session(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }
}

pub(crate) fn server() -> &'static services::Postgres {
    services::Postgres::shared()
}

pub(crate) fn settings(url: &str) -> Settings {
    let url: DatabaseUrl = url.parse().unwrap();
    Settings::new(url, services::secret_key())
}

pub(crate) async fn connect(url: &str) -> Postgres {
    let clock = Arc::new(SystemClock::start());
    Postgres::connect(settings(url), clock).await.unwrap()
}

pub(crate) async fn execute(
    store: &Postgres,
    commands: Vec<Command>,
) -> Result<Executed, StoreError> {
    store
        .directory
        .execute(commands, Mode::Commit, &Caller::LOCAL)
        .await
}

/// Waits until the store's directory is as `is_so` says.
pub(crate) async fn until(what: &str, store: &Postgres, is_so: impl Fn(&Directory) -> bool) {
    until_so(what, || is_so(&store.directory.snapshot())).await;
}

/// Waits until it is so.
pub(crate) async fn until_so(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited {LONG:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(crate) fn group_id(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

/// User `n` on channel `n` with token `n`.
pub(crate) fn record(n: u128, name: &str) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(name).unwrap(),
        address: Address::parse(&format!("channel{n}")).unwrap(),
        token: Some(Token::parse(&format!("token{n}")).unwrap()),
        destinations: None,
    }
}

pub(crate) fn put_user(n: u128, name: &str) -> Command {
    Command::PutUser(record(n, name))
}

pub(crate) fn put_group(n: u128, name: &str, users: &[u128]) -> Command {
    Command::PutGroup(GroupRecord {
        id: group_id(n),
        name: GroupName::parse(name).unwrap(),
        desc: Description::parse("a description").unwrap(),
        users: Some(users.iter().map(|n| user_id(*n)).collect()),
    })
}

/// The names of all users, in order.
pub(crate) fn names(directory: &Directory) -> Vec<String> {
    let users = directory.users_by_name("", None);
    users.map(|user| user.name.to_string()).collect()
}

/// The numbers of a group's members, in order.
pub(crate) fn members(directory: &Directory, group: u128) -> Vec<u128> {
    let members = directory.member_ids(group_id(group));
    members.map(|id| id.0.as_u128()).collect()
}
