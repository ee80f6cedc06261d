//! Whether what the service asked for, what was to wait and what had been tried was
//! kept, over kills too. Pure, so that it can be shown to find each way in which it
//! might not be.
//!
//! | what | must be |
//! |---|---|
//! | requests to a destination before its `Retry-After` had passed, by the same process | 0 |
//! | the same by a later process, where it was on record at the kill | 0 |
//! | requests for a delivery before its next attempt's time, as on record at a kill | 0 |
//! | attempts on record, other than those that were on record at the kill and those that the mockup saw since | 0 |
//!
//! A high alert that a later process receives cuts a backoff short, though never a
//! `Retry-After`; what it leaves is waited for.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::harness::{Message, Refusal, StoredAlert, StoredWait};

/// To what an arriving high alert cuts a backoff.
const HIGH_CUT: SignedDuration = SignedDuration::from_secs(5);
/// Times on record are in whole milliseconds.
const ROUNDED: SignedDuration = SignedDuration::from_millis(1);

/// A request that the mockup has read.
#[derive(Clone, Debug)]
pub struct Seen {
    channel: String,
    text: String,
    received: Timestamp,
    /// When it was answered that nothing may follow before `until`.
    asked: Option<Asked>,
    /// How many kills were before it.
    process: usize,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    answered: Timestamp,
    until: Timestamp,
}

impl Seen {
    /// Where it was for.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// What it said.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A kill, and what was on record then.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The last message and the last refusal of the mockup before it.
    pub last: (u64, u64),
    /// When the next process began.
    pub next_began: Timestamp,
    /// The deliveries of the round.
    pub stored: Vec<StoredAlert>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Waits on record at the kills that were not over when the next process began.
    pub waits: usize,
    /// Of those, waits that the service had asked for.
    pub asked: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
}

/// What the mockup has read, in order, given the kills in between.
pub fn seen(messages: &[Message], refusals: &[Refusal], stops: &[Stop]) -> Vec<Seen> {
    let time = |text: &str| -> Timestamp { text.parse().expect("the mockup writes RFC 3339") };
    let messages = messages.iter().map(|message| Seen {
        channel: message.channel.clone(),
        text: message.text.clone(),
        received: time(&message.received_at),
        asked: None,
        process: stops.partition_point(|stop| stop.last.0 < message.seq),
    });
    let refusals = refusals.iter().map(|refusal| {
        let answered = refusal.answered_at.as_deref().map(time);
        let asked = answered
            .zip(refusal.retry_after)
            .map(|(answered, seconds)| Asked {
                answered,
                until: answered + SignedDuration::from_secs(seconds),
            });
        Seen {
            channel: refusal.channel.clone(),
            text: refusal.text.clone(),
            received: time(&refusal.received_at),
            asked,
            process: stops.partition_point(|stop| stop.last.1 < refusal.seq),
        }
    });
    let mut seen: Vec<_> = messages.chain(refusals).collect();
    seen.sort_by_key(|one| one.received);
    seen
}

/// Compares what the mockup has read with what was on record at the kills and is at
/// the end.
pub fn kept(seen: &[Seen], stops: &[Stop], end: &[StoredAlert]) -> Kept {
    let mut kept = Kept::default();
    kept.violations.extend(too_early_for_the_service(seen));
    for (process, stop) in (1..).zip(stops) {
        waits(seen, process, stop, &mut kept);
    }
    kept.violations.extend(miscounted(seen, stops, end));
    kept
}

/// Requests before a `Retry-After` had passed that the same process had been told.
fn too_early_for_the_service(seen: &[Seen]) -> Vec<String> {
    let mut asked: HashMap<&str, (usize, Asked)> = HashMap::new();
    let mut found = Vec::new();
    for one in seen {
        if let Some((process, last)) = asked.get(one.channel.as_str())
            && *process == one.process
            && one.received > last.answered
            && one.received + ROUNDED < last.until
        {
            found.push(format!(
                "{:?} came to {} at {}, though nothing should before {}",
                one.text, one.channel, one.received, last.until
            ));
        }
        if let Some(now) = one.asked {
            let last = asked.entry(&one.channel).or_insert((one.process, now));
            if last.0 != one.process || last.1.until < now.until {
                *last = (one.process, now);
            }
        }
    }
    found
}

/// Looks at what waited at a kill, of which the process of that number came next.
fn waits(seen: &[Seen], process: usize, stop: &Stop, kept: &mut Kept) {
    let mut to_channel: HashMap<&str, Timestamp> = HashMap::new();
    let mut of_delivery: HashMap<(&str, &str), Timestamp> = HashMap::new();
    for one in seen.iter().rev().filter(|one| one.process >= process) {
        to_channel.insert(&one.channel, one.received);
        of_delivery.insert((&one.text, &one.channel), one.received);
    }
    for alert in &stop.stored {
        for delivery in &alert.deliveries {
            let Some(StoredWait { until, asked }) = delivery.wait else {
                continue;
            };
            if until <= stop.next_began {
                continue;
            }
            kept.waits += 1;
            kept.asked += usize::from(asked);
            let (text, channel) = (alert.text.as_str(), delivery.channel.as_str());
            let (next, earliest) = match asked {
                true => (to_channel.get(channel), until),
                false => (
                    of_delivery.get(&(text, channel)),
                    until.min(stop.next_began + HIGH_CUT),
                ),
            };
            if let Some(next) = next.filter(|next| **next + ROUNDED < earliest) {
                kept.violations.push(format!(
                    "{text:?} to {channel} was to wait until {until} when the process was killed{}, and the next request came at {next}",
                    if asked { ", as the service had asked" } else { "" }
                ));
            }
        }
    }
}

/// Deliveries whose attempts on record are not those that there were.
fn miscounted(seen: &[Seen], stops: &[Stop], end: &[StoredAlert]) -> Vec<String> {
    let mut requests: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
    for one in seen {
        let of_it = requests.entry((&one.text, &one.channel)).or_default();
        of_it.resize(stops.len() + 1, 0);
        of_it[one.process] += 1;
    }
    let at_stops: Vec<_> = stops.iter().map(|stop| attempts(&stop.stored)).collect();
    let mut found = Vec::new();
    for (delivery, at_end) in attempts(end) {
        let none = vec![0; stops.len() + 1];
        let requests = requests.get(&delivery).unwrap_or(&none);
        let mut before = 0;
        for (process, requests) in requests.iter().enumerate() {
            // A kill may leave the last ones unrecorded, and nothing else does.
            let at_kill = at_stops.get(process);
            let now = match at_kill {
                Some(stored) => stored.get(&delivery).copied().unwrap_or(0),
                None => at_end,
            };
            let most = before + requests;
            let least = if at_kill.is_some() { before } else { most };
            if !(least..=most).contains(&now) {
                found.push(format!(
                    "{:?} to {} has {now} attempts on record after {process} kills, where {before} were before and {requests} requests came",
                    delivery.0, delivery.1
                ));
            }
            before = now;
        }
    }
    found
}

fn attempts(stored: &[StoredAlert]) -> HashMap<(&str, &str), u32> {
    let deliveries = stored.iter().flat_map(|alert| {
        let of_it = alert.deliveries.iter();
        of_it.map(|one| ((alert.text.as_str(), one.channel.as_str()), one.attempts))
    });
    deliveries.collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::harness::{State, StoredDelivery};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    fn request(process: usize, text: &str, ms: i64) -> Seen {
        Seen {
            channel: "C1".into(),
            text: text.into(),
            received: at(ms),
            asked: None,
            process,
        }
    }

    fn limited(process: usize, text: &str, ms: i64, seconds: i64) -> Seen {
        let asked = Asked {
            answered: at(ms),
            until: at(ms + 1000 * seconds),
        };
        Seen {
            asked: Some(asked),
            ..request(process, text, ms)
        }
    }

    fn stored(attempts: u32, wait: Option<(i64, bool)>) -> Vec<StoredAlert> {
        let delivery = StoredDelivery {
            channel: "C1".into(),
            state: State::Open,
            attempts,
            wait: wait.map(|(until, asked)| StoredWait {
                until: at(until),
                asked,
            }),
        };
        vec![StoredAlert {
            sequence: 1,
            id: Uuid::nil(),
            text: "a".into(),
            deliveries: vec![delivery],
        }]
    }

    fn stop(next_began: i64, stored: Vec<StoredAlert>) -> Stop {
        Stop {
            last: (0, 0),
            next_began: at(next_began),
            stored,
        }
    }

    fn violations(seen: &[Seen], stops: &[Stop], attempts: u32) -> usize {
        kept(seen, stops, &stored(attempts, None)).violations.len()
    }

    #[test]
    fn a_request_within_a_retry_after_of_its_destination_is_found() {
        let early = [limited(0, "a", 0, 2), request(0, "b", 1998)];
        assert_eq!(violations(&early, &[], 1), 1);
        let in_time = [limited(0, "a", 0, 2), request(0, "a", 2000)];
        assert_eq!(violations(&in_time, &[], 2), 0);
    }

    #[test]
    fn a_later_and_shorter_retry_after_does_not_end_the_earlier_one() {
        let seen = [
            limited(0, "a", 0, 9),
            limited(0, "b", 0, 1),
            request(0, "c", 5000),
        ];
        assert_eq!(violations(&seen, &[], 1), 1);
    }

    #[test]
    fn a_retry_after_on_record_at_a_kill_holds_for_the_whole_destination() {
        let stops = [stop(500, stored(1, Some((2000, true))))];
        let other_early = [limited(0, "a", 0, 2), request(1, "b", 1500)];
        assert_eq!(violations(&other_early, &stops, 1), 1);
        let in_time = [limited(0, "a", 0, 2), request(1, "a", 2000)];
        let found = kept(&in_time, &stops, &stored(2, None));
        assert_eq!((found.waits, found.asked), (1, 1));
        assert_eq!(found.violations, [""; 0]);
    }

    #[test]
    fn a_retry_after_that_was_not_on_record_at_the_kill_cannot_hold() {
        let stops = [stop(500, stored(0, None))];
        let seen = [limited(0, "a", 0, 2), request(1, "a", 600)];
        assert_eq!(violations(&seen, &stops, 1), 0);
    }

    #[test]
    fn a_backoff_on_record_at_a_kill_holds_for_its_delivery() {
        let stops = [stop(500, stored(1, Some((2000, false))))];
        let early = [request(0, "a", 0), request(1, "a", 1990)];
        assert_eq!(violations(&early, &stops, 2), 1);
        let in_time = [request(0, "a", 0), request(1, "a", 2000)];
        assert_eq!(violations(&in_time, &stops, 2), 0);
    }

    #[test]
    fn a_backoff_may_be_cut_to_five_seconds_and_a_retry_after_may_not() {
        let seen = [request(0, "a", 0), request(1, "a", 5600)];
        let backoff = [stop(500, stored(1, Some((60_000, false))))];
        assert_eq!(violations(&seen, &backoff, 2), 0);
        let asked = [stop(500, stored(1, Some((60_000, true))))];
        assert_eq!(violations(&seen, &asked, 2), 1);
    }

    #[test]
    fn a_wait_that_was_over_when_the_next_process_began_is_none() {
        let stops = [stop(3000, stored(1, Some((2000, true))))];
        let seen = [request(0, "a", 0), request(1, "a", 3001)];
        assert_eq!(kept(&seen, &stops, &stored(2, None)).waits, 0);
    }

    #[test]
    fn attempts_are_those_on_record_at_the_kill_and_those_seen_since() {
        let stops = [stop(500, stored(1, None))];
        let seen = [
            request(0, "a", 0),
            request(0, "a", 100),
            request(1, "a", 600),
        ];
        assert_eq!(violations(&seen, &stops, 2), 0);
        // Begun anew, or counted twice.
        assert_eq!(violations(&seen, &stops, 1), 1);
        assert_eq!(violations(&seen, &stops, 3), 1);
        // More on record than there were.
        let stops = [stop(500, stored(3, None))];
        assert_eq!(violations(&seen, &stops, 4), 1);
    }

    #[test]
    fn what_the_mockup_read_is_put_in_order_and_given_to_its_process() {
        let message = |seq, ms| Message {
            seq,
            channel: "C1".into(),
            text: "a".into(),
            token: String::new(),
            received_at: at(ms).to_string(),
            answer: "sent".into(),
            webhook: None,
        };
        let refusal = |seq, ms| Refusal {
            seq,
            channel: "C1".into(),
            text: "a".into(),
            status: 429,
            retry_after: Some(2),
            received_at: at(ms).to_string(),
            answered_at: Some(at(ms + 1).to_string()),
        };
        let stops = [Stop {
            last: (7, 3),
            ..stop(0, Vec::new())
        }];
        let messages = [message(7, 10), message(8, 40)];
        let seen = seen(&messages, &[refusal(3, 5), refusal(4, 20)], &stops);
        let order: Vec<_> = seen.iter().map(|one| (one.received, one.process)).collect();
        assert_eq!(order, [(at(5), 0), (at(10), 0), (at(20), 1), (at(40), 1)]);
        assert_eq!(seen[0].asked.unwrap().until, at(2006));
    }
}
