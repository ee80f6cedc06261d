//! Whether what arrived is what was promised. Pure, so that it can be shown to
//! find each way in which it might not be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::harness::{Directory, Message, Outcome, Posted, State, StoredAlert};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Deliveries that arrived, each counted once.
    pub delivered: usize,
    /// Messages that arrived again.
    pub twice: usize,
    /// Deliveries of accepted alerts that never arrived.
    pub lost: usize,
    /// Alerts without an answer that were stored.
    pub unanswered_stored: usize,
    /// What must not be, those lost among it.
    pub violations: Vec<String>,
}

/// Compares what was posted, what the server has stored and what arrived, once
/// all has ended.
pub fn judge(
    directory: &Directory,
    posted: &[Posted],
    stored: &[StoredAlert],
    messages: &[Message],
) -> Verdict {
    let mut arrived: HashMap<&str, BTreeMap<&str, usize>> = HashMap::new();
    for message in messages {
        *arrived
            .entry(&message.text)
            .or_default()
            .entry(&message.channel)
            .or_default() += 1;
    }
    let stored_texts: HashSet<&str> = stored.iter().map(|alert| alert.text.as_str()).collect();

    let mut verdict = Verdict {
        delivered: arrived.values().map(BTreeMap::len).sum(),
        ..Verdict::default()
    };
    verdict.twice = messages.len() - verdict.delivered;
    for Posted { alert, outcome } in posted {
        let text = alert.text();
        let there: BTreeSet<&str> = arrived
            .remove(text.as_str())
            .map(|found| found.into_keys().collect())
            .unwrap_or_default();
        let expected = directory.channels(&alert.targets);
        for stranger in there.difference(&expected) {
            verdict
                .violations
                .push(format!("{text:?} does not concern {stranger}, who got it"));
        }
        let missing: Vec<_> = expected.difference(&there).collect();
        let is_stored = stored_texts.contains(text.as_str());
        match outcome {
            Outcome::Accepted { user_count, .. } => {
                let reached = directory.reached(&alert.targets).len();
                if *user_count != reached as u64 {
                    verdict.violations.push(format!(
                        "{text:?} counted {user_count} users, not {reached}"
                    ));
                }
                verdict.lost += missing.len();
                for channel in missing {
                    verdict
                        .violations
                        .push(format!("{text:?} was accepted and never came to {channel}"));
                }
            }
            Outcome::Refused { status, code, .. } if !there.is_empty() => {
                verdict.violations.push(format!(
                    "{text:?} was refused ({status} {code}) and delivered"
                ));
            }
            Outcome::Refused { .. } => {}
            Outcome::Unanswered => {
                verdict.unanswered_stored += usize::from(is_stored);
                if !missing.is_empty() && (is_stored || !there.is_empty()) {
                    verdict.violations.push(format!(
                        "{text:?} had no answer and came to {} of {}",
                        there.len(),
                        expected.len()
                    ));
                }
            }
        }
    }
    for text in arrived.keys() {
        verdict
            .violations
            .push(format!("{text:?} was never posted and arrived"));
    }
    verdict.violations.extend(wrong_tokens(directory, messages));
    let arrivals = messages.iter().map(|one| (&*one.text, &*one.channel));
    verdict.violations.extend(out_of_order(stored, arrivals));
    verdict.violations.extend(not_ended_well(stored));
    verdict
}

fn wrong_tokens<'a>(
    directory: &'a Directory,
    messages: &'a [Message],
) -> impl Iterator<Item = String> + 'a {
    messages
        .iter()
        .filter(|message| directory.token(&message.channel) != Some(&message.token))
        .map(|message| {
            format!(
                "{:?} came to {} with another's token",
                message.text, message.channel
            )
        })
}

/// Texts at destinations whose first coming was after that of another one of their
/// severity that was accepted later.
pub(super) fn out_of_order<'a>(
    stored: &[StoredAlert],
    comings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<String> {
    let sequences: HashMap<&str, i64> = stored
        .iter()
        .map(|alert| (alert.text.as_str(), alert.sequence))
        .collect();
    let mut first = HashSet::new();
    let mut last: HashMap<(&str, &str), i64> = HashMap::new();
    let mut found = Vec::new();
    for (text, channel) in comings {
        let Some(sequence) = sequences
            .get(text)
            .filter(|_| first.insert((text, channel)))
        else {
            continue;
        };
        let severity = text.split(' ').next().unwrap_or_default();
        let last = last.entry((channel, severity)).or_default();
        if sequence < last {
            found.push(format!("{text:?} came to {channel} after a later one"));
        }
        *last = (*last).max(*sequence);
    }
    found
}

fn not_ended_well(stored: &[StoredAlert]) -> impl Iterator<Item = String> + '_ {
    stored.iter().flat_map(|alert| {
        let ended_otherwise = alert
            .deliveries
            .iter()
            .filter(|delivery| delivery.state != State::Delivered);
        ended_otherwise.map(|delivery| {
            format!(
                "{:?} to {} is recorded as {:?}",
                alert.text, delivery.channel, delivery.state
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::harness::{Alert, StoredDelivery};

    fn directory() -> Directory {
        let mut directory = Directory::of_users(3);
        directory.add_group(vec![0, 1]);
        directory
    }

    fn posted(target: &str, message: &str, outcome: Outcome) -> Posted {
        let alert = Alert {
            targets: vec![target.into()],
            severity: "high",
            message: message.into(),
        };
        Posted { alert, outcome }
    }

    fn accepted(user_count: u64) -> Outcome {
        Outcome::Accepted {
            id: Uuid::nil(),
            user_count,
        }
    }

    fn stored(sequence: i64, text: &str, channels: &[&str]) -> StoredAlert {
        let delivery = |channel: &&str| StoredDelivery {
            channel: (*channel).into(),
            state: State::Delivered,
            attempts: 1,
            wait: None,
        };
        let deliveries = channels.iter().map(delivery).collect();
        StoredAlert {
            sequence,
            id: Uuid::nil(),
            text: text.into(),
            deliveries,
        }
    }

    fn message(text: &str, channel: &str) -> Message {
        Message {
            seq: 0,
            channel: channel.into(),
            text: text.into(),
            token: channel.replace('C', "token-"),
            received_at: String::new(),
            answer: "sent".into(),
            webhook: None,
        }
    }

    fn violations(posted: &[Posted], stored: &[StoredAlert], messages: &[Message]) -> Vec<String> {
        judge(&directory(), posted, stored, messages).violations
    }

    #[test]
    fn what_arrives_whole_and_in_order_is_well() {
        let verdict = judge(
            &directory(),
            &[
                posted("@@group1", "a", accepted(2)),
                posted("@user1", "b", accepted(1)),
            ],
            &[
                stored(1, "[high] a", &["C1", "C2"]),
                stored(2, "[high] b", &["C1"]),
            ],
            &[
                message("[high] a", "C1"),
                message("[high] a", "C2"),
                message("[high] b", "C1"),
            ],
        );
        assert_eq!(
            verdict,
            Verdict {
                delivered: 3,
                ..Verdict::default()
            }
        );
    }

    #[test]
    fn an_accepted_alert_that_misses_one_recipient_is_lost() {
        let posted = [posted("@@group1", "a", accepted(2))];
        let verdict = judge(&directory(), &posted, &[], &[message("[high] a", "C1")]);
        assert_eq!(verdict.lost, 1);
        assert_eq!(
            verdict.violations,
            [r#""[high] a" was accepted and never came to C2"#]
        );
    }

    #[test]
    fn an_unanswered_alert_may_arrive_wholly_or_not_at_all() {
        let posted = [posted("@@group1", "a", Outcome::Unanswered)];
        let whole = [stored(1, "[high] a", &["C1", "C2"])];
        let both = [message("[high] a", "C1"), message("[high] a", "C2")];
        assert!(violations(&posted, &[], &[]).is_empty());
        assert!(violations(&posted, &whole, &both).is_empty());
        assert_eq!(violations(&posted, &whole, &both[..1]).len(), 1);
        assert_eq!(violations(&posted, &[], &both[..1]).len(), 1);
    }

    #[test]
    fn a_refused_alert_that_arrives_is_found() {
        let refused = Outcome::Refused {
            status: 503,
            code: "QUEUE_FULL".into(),
            retry_after: None,
        };
        let posted = [posted("@user1", "a", refused)];
        assert_eq!(
            violations(&posted, &[], &[message("[high] a", "C1")]).len(),
            1
        );
    }

    #[test]
    fn a_message_that_nobody_posted_or_that_has_a_wrong_token_is_found() {
        assert_eq!(violations(&[], &[], &[message("[high] a", "C1")]).len(), 1);
        let mut wrong = message("[high] a", "C1");
        wrong.token = "token-2".into();
        assert_eq!(
            violations(&[posted("@user1", "a", accepted(1))], &[], &[wrong]).len(),
            1
        );
    }

    #[test]
    fn a_repeated_message_is_counted_and_its_place_does_not_matter() {
        let posted = [
            posted("@user1", "a", accepted(1)),
            posted("@user1", "b", accepted(1)),
        ];
        let stored = [
            stored(1, "[high] a", &["C1"]),
            stored(2, "[high] b", &["C1"]),
        ];
        let messages = ["a", "b", "a"].map(|text| message(&format!("[high] {text}"), "C1"));
        let verdict = judge(&directory(), &posted, &stored, &messages);
        assert_eq!((verdict.twice, verdict.violations.len()), (1, 0));
    }

    #[test]
    fn a_later_alert_before_an_earlier_one_is_found() {
        let posted = [
            posted("@user1", "a", accepted(1)),
            posted("@user1", "b", accepted(1)),
        ];
        let stored = [
            stored(1, "[high] a", &["C1"]),
            stored(2, "[high] b", &["C1"]),
        ];
        let messages = ["b", "a"].map(|text| message(&format!("[high] {text}"), "C1"));
        assert_eq!(violations(&posted, &stored, &messages).len(), 1);
    }
}
