//! Slowing those who send tokens that are none.
//!
//! Nobody guesses 256 bits; but who tries is not to do so as fast as the machine allows.
//! Tokens that are taken are never slowed, wherever they come from: behind one address
//! may stand one script with an old token and all that watches a company.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many failures an address has at once.
const BURST: f64 = 10.0;
/// How many it gets back in a second.
const A_SECOND: f64 = 1.0;
/// How long an answer is kept from who has none left.
pub(super) const DELAY: Duration = Duration::from_secs(1);
/// How many such answers are kept at a time, since each holds a connection.
const KEPT: usize = 64;
/// The most addresses that are remembered: some 300 kB.
const ADDRESSES: usize = 4_096;

/// What is to be done about a failure.
pub(super) enum Reaction {
    /// Say so at once.
    Answer,
    /// Say so after [`DELAY`], and hold this until then.
    Delay(OwnedSemaphorePermit),
    /// Say that there were too many.
    TooMany,
}

/// Which addresses have failed of late.
pub(super) struct Attempts {
    buckets: Mutex<HashMap<Option<IpAddr>, Bucket>>,
    kept: Arc<Semaphore>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn left(&self, now: Instant) -> f64 {
        let back = (now - self.at).as_secs_f64() * A_SECOND;
        (self.left + back).min(BURST)
    }
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self {
            buckets: Mutex::default(),
            kept: Arc::new(Semaphore::new(KEPT)),
        }
    }

    /// One more failure, from that address.
    pub(super) fn failed(&self, address: Option<IpAddr>) -> Reaction {
        if self.take_one(address.map(network)) {
            return Reaction::Answer;
        }
        match self.kept.clone().try_acquire_owned() {
            Ok(permit) => Reaction::Delay(permit),
            Err(_) => Reaction::TooMany,
        }
    }

    fn take_one(&self, address: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&address) {
            make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(address).or_insert(Bucket {
            left: BURST,
            at: now,
        });
        let left = bucket.left(now);
        let has_one = left >= 1.0;
        *bucket = Bucket {
            left: if has_one { left - 1.0 } else { left },
            at: now,
        };
        has_one
    }
}

/// Forgets who has all failures back, or if there is none, who failed longest ago.
fn make_room(buckets: &mut HashMap<Option<IpAddr>, Bucket>, now: Instant) {
    buckets.retain(|_, bucket| bucket.left(now) < BURST);
    if buckets.len() >= ADDRESSES
        && let Some(oldest) = buckets.iter().min_by_key(|(_, bucket)| bucket.at)
    {
        let oldest = *oldest.0;
        buckets.remove(&oldest);
    }
}

/// The address; of IPv6 its /64, all of which one machine has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    fn is_answered(attempts: &Attempts, address: Option<IpAddr>) -> bool {
        matches!(attempts.failed(address), Reaction::Answer)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_often_is_slowed_and_others_are_not() {
        let attempts = Attempts::new();
        assert!((0..10).all(|_| is_answered(&attempts, address(1))));
        assert!(!is_answered(&attempts, address(1)));
        assert!(is_answered(&attempts, address(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_answered(&attempts, address(1)));
        assert!(!is_answered(&attempts, address(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn few_answers_are_kept_at_a_time_and_the_rest_are_refused() {
        let attempts = Attempts::new();
        (0..10).for_each(|_| drop(attempts.failed(address(1))));
        let kept: Vec<_> = (0..KEPT).map(|_| attempts.failed(address(1))).collect();
        assert!(kept.iter().all(|one| matches!(one, Reaction::Delay(_))));
        assert!(matches!(attempts.failed(address(1)), Reaction::TooMany));
        drop(kept);
        assert!(matches!(attempts.failed(address(1)), Reaction::Delay(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_may_be_and_the_quietest_goes() {
        let attempts = Attempts::new();
        (0..10).for_each(|_| drop(attempts.failed(address(0))));
        for n in 1..10_000 {
            tokio::time::advance(Duration::from_micros(1)).await;
            // Who goes on failing is not forgotten for others.
            if n % 1_000 == 0 {
                assert!(!is_answered(&attempts, address(0)));
            }
            attempts.failed(address(n));
        }
        assert_eq!(attempts.buckets.lock().unwrap().len(), ADDRESSES);
        assert!(!is_answered(&attempts, address(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_of_one_machine_fail_together() {
        let attempts = Attempts::new();
        let address = |n: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n)));
        assert!((0..10).all(|n| is_answered(&attempts, address(n))));
        assert!(!is_answered(&attempts, address(10)));
        let other = Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1)));
        assert!(is_answered(&attempts, other));
    }
}
