//! Breakers that change are told of, once each.

use common::status::{BreakerOf, BreakerState};

use super::{
    breakers::{host_down, pass_to_next_send},
    *,
};

/// What changed since the last look, and into what.
fn changes(bench: &mut Bench) -> Vec<(String, BreakerState, BreakerState)> {
    let changes = bench.changes.drain(..);
    changes
        .map(|change| (change.of.to_string(), change.from, change.to))
        .collect()
}

fn host(from: BreakerState, to: BreakerState) -> (String, BreakerState, BreakerState) {
    ("host slack".to_owned(), from, to)
}

#[test]
fn a_host_that_fails_is_told_of_when_it_opens_is_probed_fails_again_and_is_well() {
    let mut bench = host_down(5);
    let opened = &bench.changes[0];
    assert_eq!(opened.of, BreakerOf::Host("slack".into()));
    assert_eq!(&*opened.error, "broken");
    assert_eq!(opened.because_of, Some(destination("5")));
    assert_eq!(
        changes(&mut bench),
        [host(BreakerState::Closed, BreakerState::Open)]
    );
    pass_to_next_send(&mut bench);
    assert_eq!(bench.changes[0].because_of, None, "time has made it so");
    assert_eq!(
        changes(&mut bench),
        [host(BreakerState::Open, BreakerState::HalfOpen)]
    );
    bench.answer(fails(Fault::Host));
    assert_eq!(
        changes(&mut bench),
        [host(BreakerState::HalfOpen, BreakerState::Open)]
    );
    pass_to_next_send(&mut bench);
    bench.answer(accepted());
    assert_eq!(
        changes(&mut bench),
        [
            host(BreakerState::Open, BreakerState::HalfOpen),
            host(BreakerState::HalfOpen, BreakerState::Closed)
        ]
    );
}

#[test]
fn a_credential_that_is_refused_is_told_of_and_so_is_its_being_well() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "b")]);
    bench.answer(fails(Fault::Credential));
    bench.answer(fails(Fault::Credential));
    let of = BreakerOf::Credential(CredentialId(1));
    assert_eq!(bench.changes.len(), 1, "the second says nothing new");
    assert_eq!(bench.changes[0].of, of);
    assert_eq!(&*bench.changes[0].error, "broken");
    pass_to_next_send(&mut bench);
    bench.accept_all();
    let last = bench.changes.last().unwrap();
    assert_eq!((&last.of, last.to), (&of, BreakerState::Closed));
}

#[test]
fn a_credential_that_nobody_uses_any_more_is_told_of_as_well_when_it_is_forgotten() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(super::breakers::revoked());
    assert_eq!(bench.last_outcome().as_str(), "dead");
    bench.pass(seconds(60));
    bench.pass(seconds(2 * 3600));
    let states: Vec<_> = bench.changes.iter().map(|change| change.to).collect();
    assert_eq!(
        states,
        [
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Closed
        ]
    );
}

#[test]
fn what_an_earlier_run_knew_is_told_of_as_nobodys_doing() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        3,
        wait(20, Fault::Credential, false),
    )]);
    let change = &bench.changes[0];
    assert_eq!(
        (change.from, change.to, change.because_of),
        (BreakerState::Closed, BreakerState::Open, None)
    );
}
