//! How long others may try to open what a process cannot.

use std::time::Duration;

use common::{Now, UtcMillis};

use sealing::Unopened;

/// How long another process may try before this one tries again.
pub(crate) const LEFT_TO_OTHERS: Duration = Duration::from_secs(5);
/// An alert is given up once nobody could open it for so long since it was written, and
/// this process for so long since it tried first.
const UNOPENED_FOR: Duration = Duration::from_secs(10 * 60);
const TRIED_FOR: Duration = Duration::from_secs(30);
/// Keys that are remembered, at most.
const KEYS: usize = 64;

/// What this process cannot open, by the key that it is sealed with.
#[derive(Debug, Default)]
pub(crate) struct CannotOpen(Vec<SealedWith>);

#[derive(Debug)]
struct SealedWith {
    reason: Unopened,
    /// When this process met the first of them.
    since: Duration,
    /// Nobody else could either, and the others are given up at once.
    is_given_up: bool,
}

impl CannotOpen {
    /// Whether nobody will open that record any more: others had the time to try it, or one
    /// before it that is sealed with the same key. `written_at` is the broker's time.
    pub(crate) fn is_given_up(&mut self, now: Now, written_at: i64, reason: &Unopened) -> bool {
        let known = self.0.iter().position(|one| one.reason == *reason);
        let index = known.unwrap_or_else(|| {
            if self.0.len() >= KEYS {
                self.0.remove(0);
            }
            self.0.push(SealedWith {
                reason: reason.clone(),
                since: now.mono,
                is_given_up: false,
            });
            self.0.len() - 1
        });
        let one = &mut self.0[index];
        let age = now.utc.since(UtcMillis(written_at));
        one.is_given_up |= age >= UNOPENED_FOR && now.mono.saturating_sub(one.since) >= TRIED_FOR;
        one.is_given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Duration::from_secs(seconds),
            utc: UtcMillis(1_000_000_000_000 + 1_000 * seconds as i64),
        }
    }

    fn key(name: &str) -> Unopened {
        Unopened::UnknownKey(name.into())
    }

    #[test]
    fn what_nobody_opened_in_ten_minutes_is_given_up_and_all_of_its_key_with_it() {
        let mut cannot = CannotOpen::default();
        let written_at = at(0).utc.0;
        assert!(!cannot.is_given_up(at(1), written_at, &key("a")));
        assert!(!cannot.is_given_up(at(599), written_at, &key("a")));
        assert!(cannot.is_given_up(at(600), written_at, &key("a")));
        assert!(cannot.is_given_up(at(601), at(601).utc.0, &key("a")));
    }

    #[test]
    fn another_key_in_between_gives_nobody_more_time() {
        let mut cannot = CannotOpen::default();
        let written_at = at(0).utc.0;
        assert!(!cannot.is_given_up(at(700), written_at, &key("a")));
        assert!(!cannot.is_given_up(at(715), written_at, &key("b")));
        assert!(cannot.is_given_up(at(730), written_at, &key("a")));
        assert!(!cannot.is_given_up(at(731), written_at, &key("b")));
        assert!(cannot.is_given_up(at(745), written_at, &key("b")));
    }
}
