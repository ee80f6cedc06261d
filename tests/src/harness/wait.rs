//! Waiting for another process, by asking it until it says so.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begun.elapsed() < limit,
            "waited {limit:?} in vain for {what}"
        );
        sleep(Duration::from_millis(2));
    }
}

/// Asks until it is so; as [`wait_for`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, LONG, || is_so().then_some(()));
}
