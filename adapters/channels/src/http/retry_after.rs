//! The `Retry-After` header.

use std::time::{Duration, SystemTime};

use hyper::{HeaderMap, header::RETRY_AFTER};

/// The longest wait that a service is granted: one hour. A longer one is cut to it.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long the sender of `headers` asks to be left alone, in seconds or as a date
/// that is compared with `now`
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>); at most
/// [`LONGEST_RETRY_AFTER`]. `None` for nothing, zero, the past, or anything that
/// cannot be read: the usual backoff applies.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let asked = if all_digits {
        // So many digits that no number holds them is a long time too.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(now).ok()?
    };
    Some(asked.min(LONGEST_RETRY_AFTER)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use hyper::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: u64 = 784_111_777;

    #[rstest]
    #[case::seconds("30", Some(30))]
    #[case::spaces_around(" 30 ", Some(30))]
    #[case::an_hour("3600", Some(3600))]
    #[case::more_than_an_hour("3601", Some(3600))]
    #[case::absurdly_many_seconds("1000000000", Some(3600))]
    #[case::more_digits_than_a_number_holds("99999999999999999999999", Some(3600))]
    #[case::zero("0", None)]
    #[case::negative("-1", None)]
    #[case::fraction("1.5", None)]
    #[case::exponent("1e9", None)]
    #[case::empty("", None)]
    #[case::garbage("soon", None)]
    #[case::date_to_come("Sun, 06 Nov 1994 08:50:07 GMT", Some(30))]
    #[case::date_in_its_old_form("Sunday, 06-Nov-94 08:50:07 GMT", Some(30))]
    #[case::date_in_the_form_of_c("Sun Nov  6 08:50:07 1994", Some(30))]
    #[case::date_far_away("Sat, 06 Nov 2094 08:50:07 GMT", Some(3600))]
    #[case::date_of_now("Sun, 06 Nov 1994 08:49:37 GMT", None)]
    #[case::date_long_ago("Thu, 01 Jan 1970 00:00:00 GMT", None)]
    fn a_wait_is_read_and_bounded(#[case] text: &'static str, #[case] seconds: Option<u64>) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        assert_eq!(
            retry_after(&headers, now),
            seconds.map(Duration::from_secs),
            "{text:?}"
        );
    }

    #[test]
    fn no_header_and_one_that_is_no_text_ask_for_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers, UNIX_EPOCH), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(retry_after(&headers, UNIX_EPOCH), None);
    }
}
