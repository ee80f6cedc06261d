//! What went wrong in telling people, summed up for whoever is to be told.

use common::Mishap;

/// Of each sort so many are named, and the others counted.
const NAMED: usize = 3;
/// Of what others wrote, so many characters are shown.
const SHOWN: usize = 160;

/// What went wrong since somebody was last told. Bounded, however much that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MishapSums {
    nobody: Sum,
    died: Sum,
    opened: Sum,
    reserve: Sum,
    is_to_be_told: bool,
}

/// One sort of mishap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    /// The first of them.
    named: Vec<String>,
}

impl MishapSums {
    /// Counts one in.
    pub fn add(&mut self, mishap: &Mishap) {
        let by_warning = matches!(
            mishap,
            Mishap::BreakerOpened {
                by_warning: true,
                ..
            }
        );
        self.is_to_be_told |= !by_warning;
        match mishap {
            Mishap::ReachedNobody { alert, target } => {
                self.nobody
                    .add(1, || format!("{} (alert {alert})", short(target)));
            }
            Mishap::HighDied {
                deliveries,
                delivery,
                place,
                reason,
            } => self.died.add(u64::from(*deliveries), || {
                format!("{}: {} (delivery {delivery})", short(place), short(reason))
            }),
            Mishap::BreakerOpened { of, error, .. } => {
                self.opened.add(1, || {
                    format!("{}: {}", short(&of.to_string()), short(error))
                });
            }
            Mishap::ReserveInUse => self.reserve.add(1, String::new),
        }
    }

    /// Takes in what was summed up before this and could not be told.
    pub fn take_back(&mut self, earlier: Self) {
        let later = std::mem::replace(self, earlier);
        self.nobody.append(later.nobody);
        self.died.append(later.died);
        self.opened.append(later.opened);
        self.reserve.append(later.reserve);
        self.is_to_be_told |= later.is_to_be_told;
    }

    /// Whether somebody is to be told. What a warning itself made go wrong is told with
    /// the next one and calls for none: warnings must not feed themselves.
    pub fn is_to_be_told(&self) -> bool {
        self.is_to_be_told
    }

    /// How much went wrong.
    pub fn count(&self) -> u64 {
        [&self.nobody, &self.died, &self.opened, &self.reserve]
            .iter()
            .fold(0, |sum, one| sum.saturating_add(one.count))
    }

    /// What whoever is told reads: at most some 3,500 characters.
    pub fn text(&self) -> String {
        let mut text = "telling people failed:".to_owned();
        let mut line = |sum: &Sum, one: &str, several: &str| {
            if sum.count > 0 {
                text.push_str("\n• ");
                text.push_str(&sum.line(one, several));
            }
        };
        line(
            &self.nobody,
            "alert reached nobody",
            "alerts reached nobody",
        );
        line(
            &self.died,
            "delivery of severity high died",
            "deliveries of severity high died",
        );
        line(&self.opened, "breaker opened", "breakers opened");
        if self.reserve.count > 0 {
            text.push_str(
                "\n• the disk ran full: deliveries go on from a reserve, and alerts may be \
                 refused until there is room",
            );
        }
        text.push_str("\n`error-notifier destination list` and `dead-letter list` say more.");
        text
    }
}

impl Sum {
    fn add(&mut self, count: u64, name: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(count);
        if self.named.len() < NAMED {
            self.named.push(name());
        }
    }

    fn append(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        self.named.extend(later.named);
        self.named.truncate(NAMED);
    }

    fn line(&self, one: &str, several: &str) -> String {
        let what = if self.count == 1 { one } else { several };
        let named = self.named.join("; ");
        let more = match self.count.saturating_sub(self.named.len() as u64) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!("{} {what}: {named}{more}", self.count)
    }
}

/// On one line, and no longer than fits.
fn short(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(clean).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use common::{AlertId, CredentialId, DeliveryId, status::BreakerOf};
    use uuid::Uuid;

    use super::*;

    fn nobody(target: &str) -> Mishap {
        Mishap::ReachedNobody {
            alert: AlertId(Uuid::nil()),
            target: target.into(),
        }
    }

    fn died(deliveries: u32, reason: &str) -> Mishap {
        Mishap::HighDied {
            deliveries,
            delivery: DeliveryId(Uuid::nil()),
            place: "slack C1".into(),
            reason: reason.into(),
        }
    }

    fn opened(by_warning: bool) -> Mishap {
        Mishap::BreakerOpened {
            of: BreakerOf::Credential(CredentialId(17)),
            error: "invalid_auth".into(),
            by_warning,
        }
    }

    fn sums(mishaps: &[Mishap]) -> MishapSums {
        let mut sums = MishapSums::default();
        mishaps.iter().for_each(|mishap| sums.add(mishap));
        sums
    }

    #[test]
    fn each_sort_is_a_line_that_names_the_first_and_counts_the_rest() {
        let mut mishaps: Vec<_> = ["@a", "@b", "@c", "@d", "@e"].map(nobody).into();
        mishaps.extend([
            died(1, "channel_not_found"),
            opened(false),
            Mishap::ReserveInUse,
        ]);
        let sums = sums(&mishaps);
        assert_eq!(sums.count(), 8);
        let nil = "00000000-0000-0000-0000-000000000000";
        assert_eq!(
            sums.text(),
            format!(
                "telling people failed:\n\
                 • 5 alerts reached nobody: @a (alert {nil}); @b (alert {nil}); @c (alert {nil}); and 2 more\n\
                 • 1 delivery of severity high died: slack C1: channel_not_found (delivery {nil})\n\
                 • 1 breaker opened: credential 17: invalid_auth\n\
                 • the disk ran full: deliveries go on from a reserve, and alerts may be refused until there is room\n\
                 `error-notifier destination list` and `dead-letter list` say more."
            )
        );
    }

    #[test]
    fn a_digest_that_died_counts_as_all_that_it_carried() {
        let sums = sums(&[died(40, "is_archived")]);
        assert_eq!(sums.count(), 40);
        assert!(
            sums.text()
                .contains("40 deliveries of severity high died: slack C1")
        );
        assert!(sums.text().contains("; and 39 more"));
    }

    #[test]
    fn the_text_is_bounded_whatever_others_wrote_and_each_sort_is_one_line() {
        let long = format!("@{}\n\u{1b}[2J", "x".repeat(30_000));
        let mishaps: Vec<_> = (0..100)
            .flat_map(|_| [nobody(&long), died(1, &long)])
            .collect();
        let text = sums(&mishaps).text();
        assert!(text.chars().count() < 3_500, "{}", text.chars().count());
        assert_eq!(text.lines().count(), 4);
        let last = text.lines().nth(1).unwrap();
        assert!(!last.contains('\u{1b}'));
    }

    #[test]
    fn what_a_warning_made_go_wrong_is_told_along_and_calls_for_no_warning() {
        let mut sums = sums(&[opened(true)]);
        assert!(!sums.is_to_be_told());
        sums.add(&nobody("@a"));
        assert!(sums.is_to_be_told());
        assert!(sums.text().contains("1 breaker opened: credential 17"));
    }

    #[test]
    fn what_could_not_be_told_comes_first_the_next_time() {
        let mut later = sums(&["@c", "@d", "@e"].map(nobody));
        later.take_back(sums(&["@a", "@b"].map(nobody)));
        assert_eq!(later, sums(&["@a", "@b", "@c", "@d", "@e"].map(nobody)));
    }
}
