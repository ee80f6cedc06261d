//! Token buckets, one a client, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Client, Rate};

/// The buckets of all clients.
///
/// A bucket is the time at which it will be full: one that is full is like one that was
/// never made. They are kept in two generations. A client that is seen is put into the
/// younger one; when that holds half of what there may be, it becomes the elder, and the
/// elder is forgotten.
pub(super) struct Buckets {
    /// Nanoseconds in which one token comes.
    token: u64,
    /// Nanoseconds in which an empty bucket fills.
    whole: u64,
    half: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    younger: HashMap<Client, u64>,
    elder: HashMap<Client, u64>,
}

/// How a client stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Requests that it may send at once.
    pub(super) left: u64,
    /// When it may send as many as it ever may.
    pub(super) full_in: Duration,
    /// When it may send one.
    pub(super) next_in: Duration,
}

impl Buckets {
    /// Buckets that are full, of at most `clients` clients.
    pub(super) fn new(rate: Rate, clients: usize) -> Self {
        let token = (1e9 / rate.per_second) as u64;
        let token = token.max(1);
        Self {
            token,
            whole: token.saturating_mul(rate.burst.max(1).into()),
            half: (clients / 2).max(1),
            generations: Mutex::default(),
        }
    }

    /// Takes a token from the client's bucket at `now`, which never goes back by more than
    /// concurrent calls do.
    ///
    /// # Errors
    /// The same where there is none; then nothing is taken.
    pub(super) fn take(&self, client: Client, now: Duration) -> Result<Standing, Standing> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let full_at = generations.full_at(client).max(now);
        let taken = full_at.saturating_add(self.token);
        if taken - now > self.whole {
            return Err(self.standing(full_at, now));
        }
        generations.put(client, taken, self.half);
        Ok(self.standing(taken, now))
    }

    fn standing(&self, full_at: u64, now: u64) -> Standing {
        let missing = full_at.saturating_sub(now);
        let left = self.whole.saturating_sub(missing);
        Standing {
            left: left / self.token,
            full_in: Duration::from_nanos(missing),
            next_in: Duration::from_nanos(self.token.saturating_sub(left)),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.generations.lock().unwrap();
        generations.younger.len() + generations.elder.len()
    }
}

impl Generations {
    fn full_at(&self, client: Client) -> u64 {
        let known = self
            .younger
            .get(&client)
            .or_else(|| self.elder.get(&client));
        known.copied().unwrap_or(0)
    }

    fn put(&mut self, client: Client, full_at: u64, half: usize) {
        if self.younger.len() >= half && !self.younger.contains_key(&client) {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(client, full_at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn buckets(per_second: f64, burst: u32) -> Buckets {
        Buckets::new(Rate { per_second, burst }, 100)
    }

    #[test]
    fn a_burst_goes_through_and_then_as_many_as_come_in_time() {
        let buckets = buckets(2.0, 3);
        let take = |seconds: f64| buckets.take(Client(1), Duration::from_secs_f64(seconds));
        for left in [2, 1, 0] {
            assert_eq!(take(0.0).unwrap().left, left);
        }
        let refused = take(0.0).unwrap_err();
        assert_eq!((refused.left, refused.next_in), (0, SECOND / 2));
        assert_eq!(refused.full_in, SECOND * 3 / 2);
        assert!(take(0.4).is_err());
        assert!(take(0.5).is_ok());
        assert!(take(0.5).is_err());
        assert_eq!(take(60.0).unwrap().left, 2);
    }

    #[test]
    fn each_caller_has_a_bucket_of_its_own() {
        let buckets = buckets(1.0, 1);
        assert!(buckets.take(Client(1), SECOND).is_ok());
        assert!(buckets.take(Client(1), SECOND).is_err());
        assert!(buckets.take(Client(2), SECOND).is_ok());
    }

    #[test]
    fn however_many_callers_there_are_only_so_many_are_kept() {
        let buckets = buckets(1.0, 1);
        for client in 0..100_000 {
            assert!(buckets.take(Client(client), SECOND).is_ok());
            assert!(buckets.len() <= 100);
        }
    }

    #[test]
    fn a_caller_that_goes_on_is_not_forgotten_for_others() {
        let buckets = buckets(1.0, 1000);
        for other in 0..1000 {
            let left = buckets.take(Client(u128::MAX), SECOND).unwrap().left;
            assert_eq!(left, 999 - other as u64);
            let _ = buckets.take(Client(other), SECOND);
        }
        assert!(buckets.take(Client(u128::MAX), SECOND).is_err());
    }

    proptest! {
        #[test]
        fn never_more_go_through_than_burst_and_rate_allow(
            per_second in 0.1f64..1000.0,
            burst in 1u32..50,
            steps in prop::collection::vec(0u64..100, 1..300),
        ) {
            let buckets = buckets(per_second, burst);
            let (mut now, mut through) = (Duration::ZERO, 0u32);
            for step in steps {
                now += Duration::from_millis(step);
                through += u32::from(buckets.take(Client(7), now).is_ok());
                let allowed = f64::from(burst) + now.as_secs_f64() * per_second * 1.000_01;
                prop_assert!(f64::from(through) <= allowed + 1e-6);
            }
        }
    }
}
