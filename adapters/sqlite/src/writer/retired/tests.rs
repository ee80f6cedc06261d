use std::sync::Arc;

use common::{Severity, UtcMillis};
use consumer::domain::Outcome;
use producer::{
    domain::{Caller, Command},
    ports::Mode,
};
use rusqlite::Connection;

use super::*;
use crate::{
    Synchronous,
    directory::Published,
    fixtures::{alert, dead, delivery, put_user, settlement, user_id},
    schema,
    writer::{
        accept::Acceptor,
        change::{Call, Changer},
        settle::settle,
    },
};

const NOW: UtcMillis = UtcMillis(0);

/// A database with one user, whose token is credential 1.
struct Database {
    connection: Connection,
    acceptor: Acceptor,
    changer: Changer,
    folder: tempfile::TempDir,
}

impl Database {
    fn with_a_user() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut connection = schema::open(&path, Synchronous::Off).unwrap();
        schema::migrate(&mut connection).unwrap();
        let secrets = crate::secrets::of_tests(&mut connection);
        let published = Arc::new(Published::new(Arc::default()));
        let mut database = Self {
            acceptor: Acceptor::new(&connection).unwrap(),
            changer: Changer::new(published, secrets),
            connection,
            folder,
        };
        database.change(put_user(1, "channel1", "token1"));
        assert_eq!(database.credentials(), [1]);
        database
    }

    fn change(&mut self, command: Command) {
        let transaction = self.connection.transaction().unwrap();
        self.changer.begin();
        let call = Call {
            commands: &[command],
            mode: Mode::Commit,
            by: &Caller::LOCAL,
        };
        let changed = self.changer.execute(&transaction, call, NOW);
        changed.unwrap().unwrap();
        transaction.commit().unwrap();
        self.changer.committed();
    }

    /// An alert with credential 1.
    fn accept(&mut self) {
        let accepted = alert(Severity::Normal, NOW, vec![delivery(1, 1)]);
        let transaction = self.connection.transaction().unwrap();
        self.acceptor.begin();
        self.acceptor
            .accept(&transaction, &accepted.into(), None, NOW)
            .unwrap();
        transaction.commit().unwrap();
        self.acceptor.committed();
    }

    fn settle(&mut self, sequence: u64, outcome: Outcome) {
        let transaction = self.connection.transaction().unwrap();
        settle(&transaction, &[settlement(sequence, 0, outcome)]).unwrap();
        transaction.commit().unwrap();
    }

    /// A round's end, after the grace.
    fn end_round(&mut self) {
        let transaction = self.connection.transaction().unwrap();
        end_grace(&transaction).unwrap();
        remove_unused(&transaction).unwrap();
        transaction.commit().unwrap();
    }

    fn credentials(&self) -> Vec<i64> {
        let query = "SELECT id FROM credential ORDER BY id";
        let mut statement = self.connection.prepare(query).unwrap();
        let ids = statement.query_map([], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    }
}

#[test]
fn a_credential_in_use_is_never_removed() {
    let mut database = Database::with_a_user();
    for _ in 0..5 {
        database.end_round();
    }
    assert_eq!(database.credentials(), [1]);
}

#[test]
fn a_rotated_token_goes_once_its_grace_is_over() {
    let mut database = Database::with_a_user();
    database.change(put_user(1, "channel1", "token2"));
    database.end_round();
    assert_eq!(database.credentials(), [1, 2], "its grace begins");
    database.end_round();
    assert_eq!(database.credentials(), [2]);
}

#[test]
fn a_deleted_users_token_goes_too() {
    let mut database = Database::with_a_user();
    database.change(Command::RemoveUser(user_id(1)));
    database.end_round();
    database.end_round();
    assert_eq!(database.credentials(), [0; 0]);
}

#[test]
fn a_token_that_another_user_has_stays() {
    let mut database = Database::with_a_user();
    database.change(put_user(2, "channel2", "token1"));
    database.change(Command::RemoveUser(user_id(1)));
    database.end_round();
    database.end_round();
    assert_eq!(database.credentials(), [1]);
}

#[test]
fn a_token_that_comes_back_during_its_grace_stays() {
    let mut database = Database::with_a_user();
    database.change(put_user(1, "channel1", "token2"));
    database.end_round();
    database.change(put_user(1, "channel1", "token1"));
    for _ in 0..3 {
        database.end_round();
    }
    assert_eq!(database.credentials(), [1]);
}

#[test]
fn what_an_open_alert_refers_to_stays_until_it_has_ended() {
    let mut database = Database::with_a_user();
    database.accept();
    database.change(put_user(1, "channel1", "token2"));
    for _ in 0..3 {
        database.end_round();
    }
    assert_eq!(database.credentials(), [1, 2]);
    database.settle(1, Outcome::Delivered);
    database.end_round();
    assert_eq!(database.credentials(), [2]);
}

#[test]
fn what_a_dead_letter_refers_to_stays() {
    let mut database = Database::with_a_user();
    database.accept();
    database.change(put_user(1, "channel1", "token2"));
    database.settle(1, dead());
    for _ in 0..3 {
        database.end_round();
    }
    assert_eq!(database.credentials(), [1, 2]);
}

#[test]
fn an_alert_looked_up_before_the_token_changed_and_accepted_after_keeps_its_credential() {
    let mut database = Database::with_a_user();
    database.change(put_user(1, "channel1", "token2"));
    database.accept();
    for _ in 0..3 {
        database.end_round();
    }
    assert_eq!(database.credentials(), [1, 2]);
    database.settle(1, Outcome::Delivered);
    database.end_round();
    assert_eq!(database.credentials(), [2]);
}

#[test]
fn later_alerts_do_not_keep_an_earlier_credential() {
    let mut database = Database::with_a_user();
    database.accept();
    database.change(put_user(1, "channel1", "token2"));
    database.end_round();
    database.end_round();
    database.accept();
    database.settle(1, Outcome::Delivered);
    database.end_round();
    assert_eq!(database.credentials(), [2]);
}

#[test]
fn removing_looks_at_indexes_alone() {
    let database = Database::with_a_user();
    assert!(database.folder.path().exists());
    let plan = schema::plan(&database.connection, REMOVE);
    let scans = plan.lines().filter(|line| line.starts_with("SCAN"));
    // The four minima themselves are a list to be read.
    let scans: Vec<_> = scans.filter(|line| !line.contains("subquery")).collect();
    assert_eq!(scans, [""; 0], "{plan}");
    assert!(plan.contains("credential_retired"), "{plan}");
}
