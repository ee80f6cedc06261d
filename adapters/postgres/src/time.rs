//! Times as the database has them.

use std::time::{Duration, SystemTime};

use common::UtcMillis;

/// A time of the database, to the millisecond.
pub(crate) fn millis(time: SystemTime) -> UtcMillis {
    let since = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    UtcMillis(match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    })
}

/// A time for the database.
pub(crate) fn system_time(time: UtcMillis) -> SystemTime {
    let span = Duration::from_millis(time.0.unsigned_abs());
    match time.0 {
        0.. => SystemTime::UNIX_EPOCH + span,
        _ => SystemTime::UNIX_EPOCH - span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was() {
        for time in [0, 1, -1, 1_795_392_000_123, -62_135_596_800_000] {
            assert_eq!(millis(system_time(UtcMillis(time))), UtcMillis(time));
        }
    }
}
