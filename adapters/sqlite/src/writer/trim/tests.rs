use common::Severity;
use consumer::domain::{Fault, Outcome, Wait};
use producer::ports::IdempotencyKey;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    Synchronous,
    fixtures::{DAY, alert, attempt, dead, delivery, settings, settlement},
    schema,
    writer::{accept::Acceptor, settle::settle},
};

const NOW: UtcMillis = UtcMillis(1_795_392_000_000);
const NO_LIMIT: u64 = u64::MAX;

/// A database whose history is filled by hand and trimmed step by step.
struct History {
    folder: TempDir,
    connection: Connection,
    acceptor: Acceptor,
    metrics: StoreMetrics,
}

impl History {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut connection = schema::open(&path, Synchronous::Off).unwrap();
        schema::migrate(&mut connection).unwrap();
        Self {
            acceptor: Acceptor::new(&connection).unwrap(),
            folder,
            connection,
            metrics: StoreMetrics::default(),
        }
    }

    /// The bytes that the database holds.
    fn used(&mut self) -> u64 {
        used_bytes(&self.connection.transaction().unwrap()).unwrap()
    }

    /// An alert of that age, one delivery for each outcome; `None` for one that
    /// has not been tried.
    fn add(&mut self, age: Duration, outcomes: &[Option<Outcome>]) -> u64 {
        let accepted_at = UtcMillis(NOW.0 - age.as_millis() as i64);
        let deliveries = (0..outcomes.len()).map(|n| delivery(n as u128, 1));
        let accepted = alert(Severity::Normal, accepted_at, deliveries.collect());
        let transaction = self.connection.transaction().unwrap();
        self.acceptor.begin();
        self.acceptor
            .accept(&transaction, &accepted.into(), None, NOW)
            .unwrap();
        self.acceptor.committed();
        let sequence = transaction
            .query_row("SELECT max(sequence) FROM alert", [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap() as u64;
        let settlements: Vec<_> = (0..)
            .zip(outcomes)
            .filter_map(|(n, outcome)| Some(settlement(sequence, n, outcome.clone()?)))
            .collect();
        settle(&transaction, &settlements).unwrap();
        transaction.commit().unwrap();
        sequence
    }

    /// An alert that was delivered.
    fn add_delivered(&mut self, age: Duration) -> u64 {
        self.add(age, &[Some(Outcome::Delivered)])
    }

    fn trimmer(&self, max_bytes: u64) -> Trimmer {
        let settings = Settings {
            history_max_bytes: max_bytes,
            ..settings(self.folder.path())
        };
        let mut trimmer = Trimmer::new(&settings, self.metrics.clone());
        trimmer.begin_round();
        trimmer
    }

    /// One step, committed; says whether the round goes on.
    fn step(&mut self, trimmer: &mut Trimmer, is_short: bool) -> bool {
        let transaction = self.connection.transaction().unwrap();
        trimmer.begin();
        trimmer.step(&transaction, NOW, is_short).unwrap();
        transaction.commit().unwrap();
        trimmer.committed();
        trimmer.next_step().is_some()
    }

    /// A whole round.
    fn trim(&mut self, max_bytes: u64) {
        let mut trimmer = self.trimmer(max_bytes);
        while self.step(&mut trimmer, false) {}
    }

    fn count(&self, table: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        self.connection
            .query_row(&query, [], |row| row.get(0))
            .unwrap()
    }

    fn sequences(&self) -> Vec<u64> {
        let query = "SELECT sequence FROM alert ORDER BY sequence";
        let mut statement = self.connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        rows.map(|sequence| sequence.unwrap() as u64).collect()
    }
}

fn waiting() -> Outcome {
    Outcome::Waiting(Wait {
        until: NOW,
        fault: Fault::Host,
        asked: false,
    })
}

#[test]
fn what_ended_longer_ago_than_the_retention_is_removed_with_all_its_rows() {
    let mut history = History::empty();
    history.add_delivered(8 * DAY);
    history.add(8 * DAY, &[]);
    let young = history.add_delivered(6 * DAY);
    let last = history.add_delivered(Duration::ZERO);
    history.connection.execute("INSERT INTO attempt SELECT sequence, ordinal, 1, 0, 0, 2, NULL, NULL, NULL FROM delivery", []).unwrap();
    history.trim(NO_LIMIT);
    assert_eq!(history.sequences(), [young, last]);
    assert_eq!(
        (history.count("delivery"), history.count("attempt")),
        (2, 2)
    );
    assert_eq!(history.metrics.trimmed.get(), 2);
}

#[test]
fn the_last_alert_stays_since_its_sequence_number_goes_on() {
    let mut history = History::empty();
    let last = history.add_delivered(90 * DAY);
    history.trim(0);
    assert_eq!(history.sequences(), [last]);
}

#[test]
fn an_alert_with_a_delivery_that_has_not_ended_is_never_removed() {
    let mut history = History::empty();
    let untried = history.add(90 * DAY, &[Some(Outcome::Delivered), None]);
    let waits = history.add(90 * DAY, &[Some(Outcome::Delivered), Some(waiting())]);
    let parked = history.add(90 * DAY, &[Some(Outcome::Parked)]);
    let last = history.add_delivered(Duration::ZERO);
    history.trim(0);
    assert_eq!(history.sequences(), [untried, waits, parked, last]);
}

#[test]
fn dead_letters_are_kept_for_30_days_whatever_the_limits_and_then_counted_out() {
    let mut history = History::empty();
    history.add(31 * DAY, &[Some(dead()), Some(Outcome::Delivered)]);
    let kept = history.add(29 * DAY, &[Some(dead())]);
    let last = history.add_delivered(Duration::ZERO);
    history.trim(0);
    assert_eq!(history.sequences(), [kept, last]);
    assert_eq!(history.metrics.dead_letters_trimmed.get(), 1);
}

#[test]
fn over_its_size_the_history_loses_its_oldest_until_it_is_not() {
    let mut history = History::empty();
    let empty = history.used();
    for _ in 0..1_000 {
        history.add_delivered(DAY);
    }
    // Three quarters of it, beside what tables without rows take.
    let limit = empty + (history.used() - empty) * 3 / 4;
    history.trim(limit);
    assert!(history.used() <= limit);
    let left = history.sequences();
    assert!((500..900).contains(&left.len()), "{}", left.len());
    assert_eq!(left.last(), Some(&1_000));
    assert!(
        left.is_sorted_by(|one, next| next - one == 1),
        "the oldest go"
    );
}

#[test]
fn when_room_is_short_young_history_goes_too() {
    let mut history = History::empty();
    history.add_delivered(DAY);
    let last = history.add_delivered(Duration::ZERO);
    let mut trimmer = history.trimmer(NO_LIMIT);
    while history.step(&mut trimmer, true) {}
    assert_eq!(history.sequences(), [last]);
}

#[test]
fn a_step_looks_at_few_alerts() {
    let mut history = History::empty();
    for _ in 0..60 {
        history.add_delivered(8 * DAY);
    }
    let mut trimmer = history.trimmer(NO_LIMIT);
    let mut left = vec![];
    while history.step(&mut trimmer, false) {
        left.push(history.count("alert"));
    }
    assert_eq!(left, [35, 10]);
    assert_eq!(history.count("alert"), 1);
}

#[test]
fn an_alert_of_many_deliveries_is_removed_over_several_steps() {
    let mut history = History::empty();
    history.add(8 * DAY, &vec![Some(Outcome::Delivered); 2_500]);
    let last = history.add_delivered(Duration::ZERO);
    let mut trimmer = history.trimmer(NO_LIMIT);
    let mut left = vec![];
    while history.step(&mut trimmer, false) {
        left.push(history.count("delivery"));
    }
    assert_eq!(left, [1_501, 501]);
    assert_eq!(history.sequences(), [last]);
    assert_eq!(history.count("delivery"), 1);
}

#[test]
fn an_alert_whose_removal_has_begun_goes_even_where_the_size_is_in_order_by_then() {
    let mut history = History::empty();
    history.add(DAY, &vec![Some(Outcome::Delivered); 1_500]);
    let last = history.add_delivered(Duration::ZERO);
    let mut trimmer = history.trimmer(NO_LIMIT);
    assert!(history.step(&mut trimmer, true));
    assert_eq!(history.count("delivery"), 501);
    assert!(!history.step(&mut trimmer, false));
    assert_eq!(history.sequences(), [last]);
    assert_eq!(history.count("delivery"), 1);
}

#[test]
fn a_step_that_was_rolled_back_is_done_again() {
    let mut history = History::empty();
    history.add_delivered(8 * DAY);
    let last = history.add_delivered(Duration::ZERO);
    let mut trimmer = history.trimmer(NO_LIMIT);
    let transaction = history.connection.transaction().unwrap();
    trimmer.begin();
    trimmer.step(&transaction, NOW, false).unwrap();
    transaction.rollback().unwrap();
    trimmer.put_off();
    // Another commit, in which no step was due.
    trimmer.begin();
    trimmer.committed();
    assert_eq!(history.metrics.trimmed.get(), 0);
    assert!(
        trimmer
            .next_step()
            .is_some_and(|pause| pause > Duration::ZERO)
    );
    assert!(!history.step(&mut trimmer, false));
    assert_eq!(history.sequences(), [last]);
    assert_eq!(history.metrics.trimmed.get(), 1);
}

#[test]
fn a_key_is_forgotten_after_a_day() {
    let mut history = History::empty();
    let key = |name: &str| IdempotencyKey {
        scope: String::new(),
        key: name.into(),
        fingerprint: [1; 16],
        answer: String::new(),
    };
    let transaction = history.connection.transaction().unwrap();
    for (name, age) in [("old", DAY), ("young", DAY - Duration::from_millis(1))] {
        let then = UtcMillis(NOW.0 - age.as_millis() as i64);
        let accepted = alert(Severity::Normal, then, vec![]);
        let key = key(name);
        history
            .acceptor
            .accept(&transaction, &accepted.into(), Some(&key), then)
            .unwrap();
    }
    transaction.commit().unwrap();
    history.trim(NO_LIMIT);
    let query = "SELECT key FROM idempotency_key";
    let left: String = history
        .connection
        .query_row(query, [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, "young");
    assert_eq!(history.count("idempotency_key"), 1);
}

#[test]
fn an_outcome_for_an_alert_that_was_trimmed_leaves_nothing_behind() {
    let mut history = History::empty();
    let gone = history.add_delivered(8 * DAY);
    history.add_delivered(Duration::ZERO);
    history.trim(NO_LIMIT);
    let transaction = history.connection.transaction().unwrap();
    for outcome in [Outcome::Delivered, waiting()] {
        let ended = settle(&transaction, &[settlement(gone, 0, outcome)]).unwrap();
        assert_eq!(ended.ended, 0);
    }
    transaction.commit().unwrap();
    assert_eq!(
        (history.count("delivery"), history.count("attempt")),
        (1, 0)
    );
}

#[test]
fn the_last_attempts_record_stays_where_the_end_was_no_attempt() {
    let mut history = History::empty();
    let sequence = history.add(DAY, &[Some(waiting())]);
    let transaction = history.connection.transaction().unwrap();
    let mut given_up = settlement(sequence, 0, dead());
    given_up.attempt = None;
    settle(&transaction, &[given_up]).unwrap();
    transaction.commit().unwrap();
    let query = "SELECT attempts, status, error FROM delivery WHERE state = 4";
    let kept = history.connection.query_row(query, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
    });
    assert_eq!(
        kept.unwrap(),
        (1, attempt(1).status.unwrap(), "error1".to_owned())
    );
    assert_eq!(history.count("attempt"), 1);
}

#[test]
fn looking_for_old_alerts_reads_no_table_from_end_to_end() {
    let history = History::empty();
    for sql in [
        "SELECT 1 FROM delivery WHERE state = 4 AND sequence = ?1",
        "SELECT 1 FROM open_alert WHERE severity = ?1 AND sequence = ?2",
        "DELETE FROM idempotency_key WHERE created_at <= ?1",
    ] {
        let plan = schema::plan(&history.connection, sql);
        assert!(!plan.contains("SCAN"), "{sql}: {plan}");
    }
}
