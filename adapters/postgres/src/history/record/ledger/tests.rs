use common::{
    AlertId, DeliveryId, DestinationId, Severity,
    wire::{VERSION, WaitPart},
};

use super::*;

const AT: UtcMillis = UtcMillis(1_795_392_000_000);

fn place(sequence: u64) -> Place {
    Place {
        sequence,
        ordinal: 0,
    }
}

/// An outcome of the delivery of alert `sequence`, without an attempt.
fn untried(sequence: u64, outcome: OutcomePart) -> OutcomeRecord {
    OutcomeRecord {
        v: VERSION,
        place: place(sequence),
        alert_id: AlertId(Uuid::nil()),
        delivery_id: DeliveryId(Uuid::nil()),
        destination_id: DestinationId(1),
        severity: Severity::Normal,
        at: AT,
        parts_sent: 0,
        attempt: None,
        outcome,
        digest: None,
    }
}

/// The same after the attempt of that number.
fn tried(sequence: u64, number: u32, outcome: OutcomePart) -> OutcomeRecord {
    OutcomeRecord {
        attempt: Some(AttemptPart {
            number,
            started_at: AT,
            took_us: 7_250,
            result: "refused".into(),
            status: Some(500),
            error: Some(format!("error {number}")),
            provider_id: None,
        }),
        ..untried(sequence, outcome)
    }
}

/// The same about the digest of alerts 1, 2 and 3, which the first leads.
fn of_digest(record: OutcomeRecord) -> OutcomeRecord {
    OutcomeRecord {
        digest: Some(DigestPart {
            id: Uuid::from_u128(7),
            members: [1, 2, 3].map(place).into(),
            by_severity: [0, 3, 0],
        }),
        ..record
    }
}

fn dead() -> OutcomePart {
    OutcomePart::Dead {
        reason: "channel_not_found".into(),
    }
}

fn waiting() -> OutcomePart {
    OutcomePart::Waiting(WaitPart {
        until: UtcMillis(AT.0 + 60_000),
        fault: "destination".into(),
        asked: false,
    })
}

fn replayed() -> OutcomePart {
    OutcomePart::Replayed {
        repeated: false,
        control: 0,
    }
}

fn after(outcomes: &[OutcomeRecord]) -> Ledger {
    let mut ledger = Ledger::default();
    outcomes.iter().for_each(|outcome| ledger.apply(outcome));
    ledger
}

impl Ledger {
    fn state(&self, sequence: u64) -> State {
        self.rows[&place(sequence)].row.state
    }

    fn told(&self) -> Vec<Change> {
        let changes = self.events.iter().map(|event| match event.what {
            What::Changed(_, change) => change,
            What::Accepted(_) => panic!("no alert is accepted here"),
        });
        changes.collect()
    }

    /// By how much more are open.
    fn open_count(&self) -> i64 {
        self.opened.values().sum()
    }
}

#[test]
fn each_outcome_leaves_its_state_and_tells_of_it() {
    for (outcome, state, told, open) in [
        (
            OutcomePart::Delivered,
            State::Delivered,
            Some(Change::Delivered),
            -1,
        ),
        (dead(), State::Dead, Some(Change::Dead), -1),
        (
            OutcomePart::Cancelled,
            State::Cancelled,
            Some(Change::Cancelled),
            -1,
        ),
        (waiting(), State::OnItsWay, Some(Change::Waiting), 0),
        (OutcomePart::PartSent, State::OnItsWay, None, 0),
        (OutcomePart::Parked, State::Parked, None, 0),
    ] {
        let ledger = after(&[tried(1, 1, outcome.clone())]);
        assert_eq!(ledger.state(1), state, "{outcome:?}");
        assert_eq!(ledger.told(), Vec::from_iter(told), "{outcome:?}");
        assert_eq!(ledger.open_count(), open, "{outcome:?}");
    }
}

#[test]
fn each_attempt_is_kept_and_the_last_stands_in_the_row() {
    let ledger = after(&[
        tried(1, 1, waiting()),
        tried(1, 2, waiting()),
        tried(1, 2, waiting()),
        tried(1, 3, OutcomePart::Delivered),
    ]);
    let numbers: Vec<_> = ledger.followed.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2]);
    let row = &ledger.rows[&place(1)].row;
    assert_eq!(row.attempts, 3);
    let error = row.last.as_ref().and_then(|last| last.error.as_deref());
    assert_eq!(error, Some("error 3"));
    assert_eq!(row.wait_until, None);
}

#[test]
fn what_has_ended_is_changed_by_a_replay_alone() {
    let mut ledger = after(&[tried(1, 1, dead())]);
    for outcome in [waiting(), OutcomePart::Delivered, OutcomePart::Cancelled] {
        ledger.apply(&tried(1, 2, outcome));
        assert_eq!(ledger.state(1), State::Dead);
    }
    ledger.apply(&untried(1, replayed()));
    assert_eq!(ledger.state(1), State::OnItsWay);
    assert_eq!(ledger.rows[&place(1)].row.reason, None);
    assert_eq!(ledger.rows[&place(1)].row.replayed_at, Some(AT));
    assert_eq!(ledger.told(), [Change::Dead, Change::QueuedAgain]);
    assert_eq!(ledger.open_count(), 0);
    // What is on its way already is not replayed.
    ledger.apply(&untried(1, replayed()));
    assert_eq!(ledger.told().len(), 2);
}

#[test]
fn a_replay_goes_on_with_the_parts_of_what_died_and_begins_anew_with_what_was_delivered() {
    for (ended, parts_sent) in [(dead(), 2), (OutcomePart::Delivered, 0)] {
        let ended = OutcomeRecord {
            parts_sent: 2,
            ..tried(1, 1, ended)
        };
        let ledger = after(&[ended, untried(1, replayed())]);
        assert_eq!(ledger.rows[&place(1)].row.parts_sent, parts_sent);
    }
}

#[test]
fn a_request_under_way_when_it_was_cancelled_ends_as_it_ends() {
    for (end, state) in [
        (OutcomePart::Delivered, State::Delivered),
        (OutcomePart::Cancelled, State::Cancelled),
        (waiting(), State::Cancelled),
    ] {
        let end = tried(1, 1, end);
        let mut ledger = after(&[untried(1, OutcomePart::Cancelled), end.clone()]);
        assert_eq!(ledger.state(1), state);
        assert_eq!(ledger.rows[&place(1)].row.attempts, 1);
        assert_eq!(ledger.open_count(), -1);
        // And that is the last word.
        ledger.apply(&end);
        ledger.apply(&tried(1, 1, OutcomePart::Cancelled));
        assert_eq!(ledger.state(1), state);
    }
}

#[test]
fn a_digest_carries_its_members_to_its_end() {
    for (end, state, change) in [
        (OutcomePart::Delivered, State::Delivered, Change::Delivered),
        (dead(), State::Dead, Change::Dead),
    ] {
        let mut ledger = after(&[of_digest(untried(1, OutcomePart::Folded))]);
        assert_eq!(ledger.state(1), State::OnItsWay);
        assert_eq!([2, 3].map(|one| ledger.state(one)), [State::Digested; 2]);
        assert_eq!(ledger.told(), [Change::Digested; 3]);
        assert_eq!(ledger.digests.len(), 1);
        ledger.apply(&of_digest(tried(1, 1, waiting())));
        ledger.apply(&of_digest(tried(1, 2, end)));
        assert_eq!([1, 2, 3].map(|one| ledger.state(one)), [state; 3]);
        assert_eq!(ledger.told()[4..], [change; 3]);
        assert_eq!(ledger.open_count(), -3);
        let digests = ledger.rows.values().map(|kept| kept.row.digest);
        assert!(
            digests
                .into_iter()
                .all(|digest| digest == Some(Uuid::from_u128(7)))
        );
    }
}

#[test]
fn a_repeated_fold_tells_nothing_twice() {
    let fold = of_digest(untried(1, OutcomePart::Folded));
    let ledger = after(&[fold.clone(), fold]);
    assert_eq!((ledger.told().len(), ledger.digests.len()), (3, 1));
}

#[test]
fn what_a_digest_carried_is_parked_when_it_is_taken_apart() {
    let ledger = after(&[
        of_digest(untried(1, OutcomePart::Folded)),
        of_digest(tried(1, 1, OutcomePart::TakenApart)),
    ]);
    assert_eq!([1, 2, 3].map(|one| ledger.state(one)), [State::Parked; 3]);
    assert!(ledger.rows.values().all(|kept| kept.row.digest.is_none()));
    assert_eq!(ledger.rows[&place(1)].row.attempts, 1);
    assert_eq!(ledger.open_count(), 0);
}

#[test]
fn a_member_that_was_cancelled_before_the_fold_stays_cancelled() {
    let ledger = after(&[
        untried(2, OutcomePart::Cancelled),
        of_digest(untried(1, OutcomePart::Folded)),
        of_digest(tried(1, 1, OutcomePart::Delivered)),
    ]);
    assert_eq!(ledger.state(2), State::Cancelled);
    assert_eq!(ledger.rows[&place(2)].row.digest, None);
    assert_eq!([1, 3].map(|one| ledger.state(one)), [State::Delivered; 2]);
}

#[test]
fn a_member_that_was_replayed_goes_its_own_way() {
    let end = of_digest(tried(1, 1, dead()));
    let mut ledger = after(&[
        of_digest(untried(1, OutcomePart::Folded)),
        end.clone(),
        untried(2, replayed()),
    ]);
    // Told again by one who did not know that it had ended.
    ledger.apply(&end);
    assert_eq!(ledger.state(2), State::OnItsWay);
    ledger.apply(&tried(2, 1, OutcomePart::Delivered));
    assert_eq!(
        [1, 2, 3].map(|one| ledger.state(one)),
        [State::Dead, State::Delivered, State::Dead]
    );
    assert_eq!(ledger.rows[&place(2)].row.digest, None);
}

#[test]
fn a_fold_that_was_never_made_is_forgotten_by_each_members_own_outcome() {
    let ledger = after(&[
        of_digest(untried(1, OutcomePart::Folded)),
        tried(2, 1, OutcomePart::Delivered),
        tried(1, 1, waiting()),
    ]);
    assert_eq!(ledger.state(2), State::Delivered);
    let digest = |one| ledger.rows[&place(one)].row.digest;
    assert_eq!([1, 2].map(digest), [None; 2]);
}

#[test]
fn only_what_has_changed_is_written() {
    let mut ledger = Ledger::of([(place(1), Row::new()), (place(2), Row::new())]);
    ledger.apply(&tried(1, 1, OutcomePart::Delivered));
    ledger.apply(&tried(3, 1, OutcomePart::Delivered));
    let places =
        |rows: Vec<(Place, &Row)>| rows.iter().map(|(at, _)| at.sequence).collect::<Vec<_>>();
    assert_eq!(places(ledger.changed_rows().collect()), [1]);
    assert_eq!(places(ledger.new_rows().collect()), [3]);
}
