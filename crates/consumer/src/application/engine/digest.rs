//! The text of a digest: every alert in it, the urgent ones first, equal ones once
//! with their number and times.
//!
//! ```text
//! [high]
//! • node1 down (×37, 12:01:03–12:04:40)
//! • node2 down
//! [normal]
//! • disk 80 % full
//! ```

use std::{collections::HashMap, fmt::Write};

use common::{Severity, UtcMillis};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use crate::ports::TextLimit;

/// Before each alert's text.
const BULLET: &str = "• ";

/// Puts a digest together, one alert after the other, within its channel's limit.
#[derive(Debug)]
pub(super) struct Composer<'a> {
    limit: TextLimit,
    zone: &'a TimeZone,
    /// By severity code, each in the order in which its texts first came.
    blocks: [Vec<Line<'a>>; 3],
    known: HashMap<(Severity, &'a str), usize>,
    width: usize,
    members: [u32; 3],
}

/// One text, however often it came.
#[derive(Debug)]
struct Line<'a> {
    text: &'a str,
    count: u32,
    first: UtcMillis,
    last: UtcMillis,
    /// Of its number and times.
    note_width: usize,
}

impl<'a> Composer<'a> {
    pub(super) fn new(limit: TextLimit, zone: &'a TimeZone) -> Self {
        Self {
            limit,
            zone,
            blocks: Default::default(),
            known: HashMap::new(),
            width: 0,
            members: [0; 3],
        }
    }

    /// Adds an alert if it fits; answers whether it did.
    pub(super) fn add(&mut self, severity: Severity, text: &'a str, at: UtcMillis) -> bool {
        let block = usize::from(severity.code());
        let added = match self.known.get(&(severity, text)) {
            Some(index) => self.repeat(block, *index, at),
            None => self.begin(severity, text, at),
        };
        self.members[block] += u32::from(added);
        added
    }

    fn begin(&mut self, severity: Severity, text: &'a str, at: UtcMillis) -> bool {
        let block = &mut self.blocks[usize::from(severity.code())];
        let width = self.limit.width;
        let mut more = width(BULLET) + width(text) + width("\n");
        if block.is_empty() {
            more += width(&heading(severity)) + width("\n");
        }
        if self.width + more > self.limit.most {
            return false;
        }
        self.width += more;
        self.known.insert((severity, text), block.len());
        block.push(Line {
            text,
            count: 1,
            first: at,
            last: at,
            note_width: 0,
        });
        true
    }

    fn repeat(&mut self, block: usize, index: usize, at: UtcMillis) -> bool {
        let line = &mut self.blocks[block][index];
        let (first, last) = (line.first.min(at), line.last.max(at));
        let note = note(line.count + 1, first, last, self.zone);
        let note_width = (self.limit.width)(&note);
        let width = self.width - line.note_width + note_width;
        if width > self.limit.most {
            return false;
        }
        self.width = width;
        *line = Line {
            count: line.count + 1,
            first,
            last,
            note_width,
            ..*line
        };
        true
    }

    /// How many alerts it carries, by severity code.
    pub(super) fn members(&self) -> [u32; 3] {
        self.members
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for severity in Severity::BY_URGENCY {
            let block = &self.blocks[usize::from(severity.code())];
            if block.is_empty() {
                continue;
            }
            text.push_str(&heading(severity));
            text.push('\n');
            for line in block {
                text.push_str(BULLET);
                text.push_str(line.text);
                if line.count > 1 {
                    text.push_str(&note(line.count, line.first, line.last, self.zone));
                }
                text.push('\n');
            }
        }
        text.pop();
        text
    }
}

fn heading(severity: Severity) -> String {
    format!("[{severity}]")
}

/// How often an alert came, and when: with the date where that is not one day.
fn note(count: u32, first: UtcMillis, last: UtcMillis, zone: &TimeZone) -> String {
    let (first, last) = (local(first, zone), local(last, zone));
    let with_date = first.date() != last.date();
    let mut note = format!(" (×{count}, ");
    clock(&mut note, &first, with_date);
    note.push('–');
    clock(&mut note, &last, with_date);
    note.push(')');
    note
}

fn clock(note: &mut String, at: &DateTime, with_date: bool) {
    // Writing to a string cannot fail.
    if with_date {
        let _ = write!(note, "{} ", at.date());
    }
    let _ = write!(
        note,
        "{:02}:{:02}:{:02}",
        at.hour(),
        at.minute(),
        at.second()
    );
}

/// A time that no calendar has is shown as 1970.
fn local(at: UtcMillis, zone: &TimeZone) -> DateTime {
    zone.to_datetime(Timestamp::from_millisecond(at.0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::tz;
    use proptest::prelude::*;

    use super::*;

    static UTC: TimeZone = TimeZone::UTC;
    const NOON: i64 = 1_800_014_400_000;

    fn chars(most: usize) -> TextLimit {
        TextLimit {
            most,
            width: |text| text.chars().map(|c| if c == '&' { 5 } else { 1 }).sum(),
        }
    }

    fn at(second: i64) -> UtcMillis {
        UtcMillis(NOON + second * 1000)
    }

    #[test]
    fn alerts_are_grouped_by_severity_and_equal_text_with_number_and_times() {
        let zone = TimeZone::fixed(tz::offset(9));
        let mut digest = Composer::new(chars(1000), &zone);
        digest.add(Severity::Normal, "disk full", at(5));
        digest.add(Severity::High, "node1 down", at(63));
        digest.add(Severity::High, "node2 down", at(70));
        digest.add(Severity::High, "node1 down", at(280));
        digest.add(Severity::High, "node1 down", at(100));
        let start = local(at(63), &zone);
        let times = format!("{:02}:{:02}", start.hour(), start.minute());
        assert!(times.starts_with(&format!("{:02}:", (local(at(0), &UTC).hour() + 9) % 24)));
        assert_eq!(
            digest.text(),
            format!(
                "[high]\n• node1 down (×3, {:02}:01:03–{:02}:04:40)\n• node2 down\n[normal]\n• disk full",
                start.hour(),
                start.hour()
            )
        );
        assert_eq!(digest.members(), [0, 1, 4]);
    }

    #[test]
    fn times_of_different_days_carry_their_dates() {
        let day = 24 * 3600;
        let text = note(2, at(0), at(day), &UTC);
        let dates: Vec<_> = text.split(' ').filter(|word| word.contains("20")).collect();
        assert_eq!(dates.len(), 2, "{text}");
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut digest = Composer::new(chars(30), &UTC);
        assert!(digest.add(Severity::Low, "twelve chars", at(0)));
        let before = digest.text();
        assert!(!digest.add(Severity::Low, "and twelve more", at(0)));
        assert!(!digest.add(Severity::Low, "twelve chars", at(0)));
        assert!(!digest.add(Severity::High, "x", at(0)));
        assert_eq!((digest.text(), digest.members()), (before, [1, 0, 0]));
    }

    #[test]
    fn the_limit_counts_what_the_channel_makes_of_the_text() {
        let mut digest = Composer::new(chars(30), &UTC);
        assert!(!digest.add(Severity::Low, "&&&&&&", at(0)));
        assert!(digest.add(Severity::Low, "&", at(0)));
    }

    fn alerts() -> impl Strategy<Value = Vec<(u8, String, i64)>> {
        let text = prop_oneof![
            "[a-c]{1,2}",
            "[a-z&]{1,60}",
            "[가-힣]{1,30}",
            "(👨‍👩‍👧‍👦|e\u{301}|\n){1,9}",
        ];
        prop::collection::vec((0u8..3, text, -100_000i64..100_000), 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_digest_names_every_alert_taken_whole_within_the_limit(
            alerts in alerts(),
            most in 20usize..2000,
        ) {
            let limit = chars(most);
            let mut digest = Composer::new(limit, &UTC);
            let mut counts = HashMap::new();
            for (code, text, second) in &alerts {
                let severity = Severity::from_code(*code).unwrap();
                if digest.add(severity, text, at(*second)) {
                    *counts.entry((severity, text.as_str())).or_insert(0) += 1;
                }
            }
            let text = digest.text();
            prop_assert!((limit.width)(&text) <= most);
            let mut total = 0;
            for ((severity, alert), count) in &counts {
                total += count;
                let heading = heading(*severity);
                let from = text.find(&heading).unwrap();
                let line = match count {
                    1 => format!("\n• {alert}"),
                    count => format!("\n• {alert} (×{count}, "),
                };
                prop_assert!(text[from..].contains(&line), "{line:?} is not in {text:?}");
            }
            prop_assert_eq!(total, digest.members().iter().sum::<u32>());
        }

        #[test]
        fn the_same_alerts_make_the_same_digest(alerts in alerts()) {
            let compose = || {
                let mut digest = Composer::new(chars(500), &UTC);
                for (code, text, second) in &alerts {
                    digest.add(Severity::from_code(*code).unwrap(), text, at(*second));
                }
                digest.text()
            };
            prop_assert_eq!(compose(), compose());
        }
    }
}
