//! When what waits is folded, and what becomes of a digest.

use proptest::prelude::*;

use super::*;

/// A message a second, and digests where that takes longer than ten.
fn digesting() -> EngineSettings {
    let mut settings = paced(Some(1.0));
    settings.channels[0].digest_after = Some(seconds(10));
    settings
}

fn saying(mut lease: Lease, text: &str) -> Lease {
    Arc::make_mut(&mut lease.alert).message = text.into();
    lease
}

/// Deliveries to one lane that say `m` and their number.
fn numbered(numbers: std::ops::RangeInclusive<u64>, severity: Severity) -> Vec<Lease> {
    numbers
        .map(|n| saying(lease(n, severity, "a"), &format!("m{n}")))
        .collect()
}

/// A lane that has sent its burst and has twelve waiting, with its digest made and
/// under way.
fn folded() -> Bench {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.receive(numbered(11..=22, Severity::Normal));
    bench.pass(seconds(1));
    bench
}

fn digest_of(order: &SendOrder) -> &str {
    &order.lease.digest.as_ref().expect("it is a digest").text
}

fn members(settlement: &Settlement) -> Vec<u64> {
    match &settlement.outcome {
        Outcome::Folded { members, .. } => members
            .iter()
            .map(|member| member.position.sequence)
            .collect(),
        other => panic!("it is folded, not {other:?}"),
    }
}

#[test]
fn what_takes_longer_than_ten_seconds_is_folded_into_one_message() {
    let mut bench = folded();
    assert_eq!(bench.sends.len(), 1);
    let lines: Vec<_> = (11..=22).map(|n| format!("\n• m{n}")).collect();
    assert_eq!(
        digest_of(&bench.sends[0]),
        format!("[normal]{}", lines.concat())
    );
    assert_eq!(
        members(bench.settled.last().unwrap()),
        (11..=22).collect::<Vec<_>>()
    );
    assert_eq!(bench.engine.counts().held, 1);
    bench.answer(accepted());
    assert_eq!(bench.last_outcome(), &Outcome::Delivered);
    assert_eq!(bench.settled.last().unwrap().lease.position.sequence, 11);
    assert_eq!(bench.engine.counts().held, 0);
}

#[test]
fn what_the_pace_carries_in_time_is_not_folded() {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=10, Severity::Normal));
    let mut sent = bench.accept_all();
    while sent.len() < 10 {
        bench.pass_to_next_wake();
        sent.extend(bench.accept_all());
    }
    assert!(
        bench
            .settled
            .iter()
            .all(|s| s.outcome == Outcome::Delivered)
    );
}

#[test]
fn a_digest_is_not_sent_before_it_is_recorded() {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.disk_is_slow = true;
    bench.receive(numbered(11..=22, Severity::Normal));
    bench.pass(seconds(1));
    assert!(bench.sends.is_empty());
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 0,
    });
    assert_eq!(bench.sent(), 11);
}

#[test]
fn a_digest_that_may_go_takes_the_room_of_one_request() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight: 1,
        ..digesting()
    });
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.receive(numbered(11..=22, Severity::Normal));
    bench.pass(seconds(1));
    assert_eq!(bench.sent(), 11);
}

#[test]
fn a_digest_takes_the_high_ones_first_and_is_led_by_one() {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.receive(numbered(11..=60, Severity::Normal));
    bench.receive(numbered(71..=72, Severity::High));
    bench.pass(seconds(1));
    let text = digest_of(&bench.sends[0]);
    assert!(
        text.starts_with("[high]\n• m71\n• m72\n[normal]\n• m11\n"),
        "{text}"
    );
    assert!(text.len() <= 150 && text.chars().count() <= 100);
    assert_eq!(bench.sent(), 71);
}

#[test]
fn a_storm_is_carried_by_few_messages_that_name_every_alert() {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(100..=163, Severity::Normal));
    let mut texts = String::new();
    let mut messages = 0;
    while bench.engine.counts().held > 0 {
        match bench.sends.front() {
            Some(order) => {
                texts += &order.lease.text();
                texts += "\n";
                messages += 1;
                bench.answer(accepted());
            }
            None => {
                bench.pass_to_next_wake();
            }
        }
    }
    assert!(
        (100..=163).all(|n| texts.contains(&format!("m{n}\n"))),
        "{texts}"
    );
    assert!(messages < 16, "{messages} messages");
}

#[test]
fn equal_texts_are_named_once_with_their_number_and_times() {
    let mut bench = Bench::new(digesting());
    let same = |n| saying(normal(n, "a"), "node1 down");
    bench.receive((1..=50).map(same));
    let text = digest_of(&bench.sends[0]);
    assert_eq!(text, "[normal]\n• node1 down (×50, 08:00:00–08:00:00)");
}

#[test]
fn what_is_parked_takes_part() {
    let mut settings = digesting();
    settings.lane_leases = 4;
    let mut bench = Bench::new(settings);
    bench.receive(numbered(1..=20, Severity::Normal));
    assert!(bench.sends.is_empty());
    let (destination, severity, after, room) = bench.unparks.pop_front().unwrap();
    assert_eq!((after, room), (None, 28));
    bench.tell(Event::Unparked {
        destination,
        severity,
        leases: numbered(5..=20, Severity::Normal),
    });
    let text = digest_of(&bench.sends[0]);
    assert!(text.contains("m4") && text.contains("m5"), "{text}");
    assert_eq!(bench.engine.counts().parked, 0);
}

#[test]
fn a_digest_that_fails_is_sent_again_as_it_was_before_what_came_later() {
    let mut bench = folded();
    let text = digest_of(&bench.sends[0]).to_owned();
    bench.answer(fails(Fault::Destination));
    assert_eq!(bench.last_outcome().as_str(), "waiting");
    bench.receive(numbered(30..=60, Severity::Normal));
    bench.pass(seconds(1));
    assert_eq!(digest_of(&bench.sends[0]), text);
    assert_eq!(bench.sends[0].attempt, 2);
}

#[test]
fn a_lane_that_fails_sends_one_by_one() {
    let mut bench = Bench::new(digesting());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Destination));
    bench.receive(numbered(11..=40, Severity::Normal));
    bench.pass(seconds(1));
    assert_eq!(
        (bench.sent(), bench.sends[0].lease.digest.is_none()),
        (1, true)
    );
}

#[test]
fn a_digest_refused_for_its_content_is_taken_apart_and_its_members_go_one_by_one() {
    let mut bench = folded();
    bench.answer(fails(Fault::Payload));
    assert!(
        bench
            .settled
            .iter()
            .any(|settled| settled.outcome == Outcome::TakenApart)
    );
    assert_eq!(bench.engine.counts().parked, 12);
    let (destination, severity, after, _) = bench.unparks.pop_front().unwrap();
    assert_eq!(after, None);
    bench.tell(Event::Unparked {
        destination,
        severity,
        leases: numbered(11..=22, Severity::Normal),
    });
    for n in 11..=22 {
        bench.pass(seconds(1));
        assert_eq!(bench.sent(), n);
        assert!(bench.sends[0].lease.digest.is_none());
        bench.answer(accepted());
    }
}

#[test]
fn a_dead_digest_is_one_settlement() {
    let mut bench = folded();
    bench.answer(Answer::Refused(Refusal {
        lasting: true,
        ..refused(Fault::Destination)
    }));
    assert_eq!(bench.last_outcome().as_str(), "dead");
    assert_eq!(bench.engine.counts().held, 0);
}

#[test]
fn a_digest_of_an_earlier_run_is_sent_as_it_was() {
    let mut earlier = folded();
    let lease = (*earlier.sends.pop_front().unwrap().lease).clone();
    let mut bench = Bench::before_catching_up(digesting());
    bench.receive([lease.clone()]);
    assert!(bench.sends.is_empty(), "others that wait may follow");
    bench.receive(numbered(30..=60, Severity::Normal));
    assert_eq!(digest_of(&bench.sends[0]), &*lease.digest.unwrap().text);
}

#[test]
fn no_low_one_that_has_waited_too_long_passes_a_digest_of_an_earlier_run() {
    let mut earlier = folded();
    let digest = (*earlier.sends.pop_front().unwrap().lease).clone();
    let mut bench = Bench::before_catching_up(unlimited());
    bench.receive([digest]);
    bench.receive((31..=35).map(|n| high(n, "a")));
    bench.receive([low(40, "a")]);
    bench.pass(seconds(100));
    assert_eq!(bench.accept_all(), [31, 32, 33, 11, 34, 35, 40]);
}

#[test]
fn a_digest_whose_lead_is_cancelled_before_it_is_on_record_goes_for_the_others() {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.disk_is_slow = true;
    bench.receive(numbered(11..=22, Severity::Normal));
    bench.pass(seconds(1));
    assert_eq!(members(bench.settled.last().unwrap())[0], 11);
    bench.tell(Event::Cancelled(vec![normal(11, "a").key()]));
    assert!(bench.sends.is_empty());
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 0,
    });
    assert!(digest_of(&bench.sends[0]).contains("m22"));
    bench.tell(Event::Cancelled(vec![normal(11, "a").key()]));
    bench.answer(fails(Fault::Destination));
    assert_eq!(bench.last_outcome().as_str(), "waiting");
}

#[test]
fn a_text_too_long_for_a_digest_goes_by_itself() {
    let mut bench = Bench::new(digesting());
    bench.receive([saying(normal(1, "a"), &"x".repeat(200))]);
    bench.answer(accepted());
    bench.receive([saying(normal(2, "a"), &"y".repeat(200))]);
    bench.receive(numbered(11..=30, Severity::Normal));
    assert_eq!(bench.sent(), 2);
    bench.answer(accepted());
    assert_eq!(digest_of(&bench.sends[0]).lines().nth(1), Some("• m11"));
}

#[test]
fn a_digest_carries_deliveries_of_one_credential() {
    let mut bench = Bench::new(digesting());
    let mut leases = numbered(1..=12, Severity::Normal);
    for lease in leases.iter_mut().step_by(2) {
        *lease = with_credential(lease.clone(), 2);
    }
    bench.receive(leases);
    assert_eq!(members(&bench.settled[0]), [1, 3, 5, 7, 9, 11]);
}

/// A fold of all twelve that wait is being recorded.
fn recording_a_fold() -> (Bench, Vec<Lease>) {
    let mut bench = Bench::new(digesting());
    bench.receive(numbered(1..=4, Severity::Normal));
    bench.accept_all();
    bench.disk_is_slow = true;
    let waiting = numbered(11..=22, Severity::Normal);
    bench.receive(waiting.clone());
    bench.pass(seconds(1));
    (bench, waiting)
}

/// One of them was cancelled before; so many settlements are recorded then.
fn tell_it_was_not_made(bench: &mut Bench, lead: LeaseKey, settlements: usize) {
    bench.tell(Event::Unfolded(vec![Unfolded {
        lead,
        parked: [0, 11, 0],
    }]));
    bench.disk_is_slow = false;
    bench.tell(Event::Recorded {
        settlements,
        attempts: 0,
    });
}

#[test]
fn a_fold_that_was_not_made_is_not_sent_and_what_it_held_is_fetched_again() {
    for lead_is_told_first in [true, false] {
        let (mut bench, waiting) = recording_a_fold();
        if lead_is_told_first {
            bench.tell(Event::Cancelled(vec![waiting[0].key()]));
        }
        tell_it_was_not_made(&mut bench, waiting[0].key(), 1);
        if !lead_is_told_first {
            bench.tell(Event::Cancelled(vec![waiting[0].key()]));
        }
        assert!(bench.sends.is_empty());
        assert_eq!(bench.engine.counts().held, 0);
        assert_eq!(bench.engine.counts().parked, 11);
        assert_eq!(bench.unparks.len(), 1);
    }
}

#[test]
fn what_came_while_a_fold_was_being_recorded_goes_after_what_it_held_where_it_is_not_made() {
    let (mut bench, waiting) = recording_a_fold();
    bench.receive(numbered(31..=32, Severity::Normal));
    bench.receive([high(33, "a")]);
    bench.tell(Event::Cancelled(vec![waiting[3].key()]));
    tell_it_was_not_made(&mut bench, waiting[0].key(), 3);
    assert_eq!(bench.sent(), 33);
    assert_eq!(bench.engine.counts().held, 1);
    assert_eq!(bench.engine.counts().parked, 13);
    assert_eq!(bench.unparks.len(), 1);
}

/// Texts of which some fit into no digest, and some are equal.
fn texts() -> impl Strategy<Value = Vec<(u8, String)>> {
    let text = prop_oneof![
        "[ab]",
        "[a-z]{1,40}",
        "[가-힣]{1,30}",
        "(👨‍👩‍👧‍👦|e\u{301}){1,12}",
        "x{101,150}"
    ];
    prop::collection::vec((0u8..3, text), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_a_backlog_is_split_into_messages_each_alert_is_whole_in_exactly_one(
        texts in texts(),
    ) {
        let mut bench = Bench::new(EngineSettings { lane_leases: 1000, ..digesting() });
        let leases = texts.iter().zip(1u64..).map(|((code, text), n)| {
            saying(lease(n, Severity::from_code(*code).unwrap(), "a"), text)
        });
        bench.receive(leases);
        let mut told = vec![0; texts.len()];
        while bench.engine.counts().held > 0 {
            while bench.sends.is_empty() {
                bench.pass_to_next_wake();
            }
            let order = bench.sends[0].clone();
            let carried = match &order.lease.digest {
                None => vec![order.lease.position.sequence],
                Some(digest) => {
                    prop_assert!(digest.text.chars().count() <= 100);
                    let of_it = |settled: &&Settlement| matches!(
                        &settled.outcome,
                        Outcome::Folded { digest: other, .. } if other.id == digest.id
                    );
                    members(bench.settled.iter().rfind(of_it).unwrap())
                }
            };
            for sequence in carried {
                let at = usize::try_from(sequence - 1).unwrap();
                told[at] += 1;
                if let Some(digest) = &order.lease.digest {
                    let line = format!("\n• {}", texts[at].1);
                    let is_whole = |(start, _)| {
                        let rest: &str = &digest.text[start + line.len()..];
                        rest.is_empty() || rest.starts_with(['\n', ' '])
                    };
                    prop_assert!(digest.text.match_indices(&line).any(is_whole), "{line:?}");
                }
            }
            bench.answer(accepted());
        }
        prop_assert!(told.iter().all(|times| *times == 1), "{told:?}");
    }
}
