//! Wall-clock times as microseconds since 1970: kept as integers on the way in,
//! written out only when somebody asks.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time now, in microseconds since 1970 (UTC).
pub(crate) fn now_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

/// RFC 3339, UTC, six decimals: `2026-11-23T21:09:00.000001Z`.
pub(crate) fn rfc3339(micros: u64) -> String {
    let timestamp = i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.6}")
}

/// Slack's form of a message's id: seconds, a point, six digits.
pub(crate) fn slack_ts(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_six_decimals() {
        assert_eq!(
            rfc3339(1_700_000_000_000_020),
            "2023-11-14T22:13:20.000020Z"
        );
    }

    #[test]
    fn a_time_on_the_full_second_keeps_its_decimals() {
        assert_eq!(
            rfc3339(1_700_000_000_000_000),
            "2023-11-14T22:13:20.000000Z"
        );
    }

    #[test]
    fn a_message_id_is_seconds_and_six_digits() {
        assert_eq!(slack_ts(1_503_435_956_000_247), "1503435956.000247");
    }
}
