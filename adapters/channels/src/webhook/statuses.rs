//! What follows from each status of a webhook's answer.

use consumer::domain::Fault;

/// What one status, or a range of them, means for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The first status of the range.
    pub first: u16,
    /// The last; the same for a single one.
    pub last: u16,
    /// Whose fault it is.
    pub fault: Fault,
    /// True where somebody has to act before the same message can succeed.
    pub lasting: bool,
    /// What stands in the record besides the status; empty for nothing.
    pub note: &'static str,
}

/// The meaning of `status`, which is no 2xx. The first row that holds it counts.
pub(super) fn find(status: u16) -> &'static Status {
    STATUSES
        .iter()
        .find(|row| (row.first..=row.last).contains(&status))
        .unwrap_or(&OTHER)
}

const fn row(first: u16, last: u16, fault: Fault, lasting: bool, note: &'static str) -> Status {
    Status {
        first,
        last,
        fault,
        lasting,
        note,
    }
}

/// What no row holds, which HTTP does not know.
const OTHER: Status = row(0, u16::MAX, Fault::Unclear, false, "");

/// Every status that is no success. 2xx is success, whatever the body says. What the
/// rows marked (SW) mean is said by Standard Webhooks
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#delivery-success-and-failure>),
/// the others by RFC 9110 (<https://www.rfc-editor.org/rfc/rfc9110#section-15>).
pub const STATUSES: &[Status] = &[
    // (SW) A failure; the URL is to be corrected.
    row(
        300,
        399,
        Fault::Destination,
        true,
        "redirects are not followed; change the webhook's URL",
    ),
    // The signature was not accepted, or the sender may not. The secret may be under
    // replacement on the other side.
    row(401, 401, Fault::Credential, false, "is the secret right?"),
    row(403, 403, Fault::Credential, false, "is the secret right?"),
    // The receiver is not there (yet), or takes no such requests: a deployment heals it.
    row(404, 407, Fault::Destination, false, ""),
    row(408, 409, Fault::Destination, false, ""),
    // (SW) The receiver wants no more.
    row(
        410,
        410,
        Fault::Destination,
        true,
        "the receiver wants no more; delete the destination",
    ),
    // It is too long for this receiver, and stays so.
    row(413, 413, Fault::Payload, true, ""),
    row(415, 415, Fault::Destination, false, ""),
    // The receiver does not take this body.
    row(400, 400, Fault::Payload, false, ""),
    row(422, 422, Fault::Payload, false, ""),
    // Sent in vain (misdirected, too early) or (SW) too often.
    row(421, 421, Fault::Destination, false, ""),
    row(425, 425, Fault::Destination, false, ""),
    row(429, 429, Fault::Destination, false, ""),
    row(402, 499, Fault::Unclear, false, ""),
    // (SW) Under load, or away: whatever stands before the receivers of that host.
    row(502, 504, Fault::Host, false, ""),
    // (SW) The rest is a failure: of this receiver, as far as one can know.
    row(500, 599, Fault::Destination, false, ""),
];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::redirect(302, Fault::Destination, true)]
    #[case::bad_request(400, Fault::Payload, false)]
    #[case::unauthorized(401, Fault::Credential, false)]
    #[case::payment(402, Fault::Unclear, false)]
    #[case::forbidden(403, Fault::Credential, false)]
    #[case::not_found(404, Fault::Destination, false)]
    #[case::timeout(408, Fault::Destination, false)]
    #[case::gone(410, Fault::Destination, true)]
    #[case::precondition(412, Fault::Unclear, false)]
    #[case::too_large(413, Fault::Payload, true)]
    #[case::unprocessable(422, Fault::Payload, false)]
    #[case::too_many(429, Fault::Destination, false)]
    #[case::server_error(500, Fault::Destination, false)]
    #[case::bad_gateway(502, Fault::Host, false)]
    #[case::unavailable(503, Fault::Host, false)]
    #[case::gateway_timeout(504, Fault::Host, false)]
    #[case::unknown_server_error(599, Fault::Destination, false)]
    #[case::informational(101, Fault::Unclear, false)]
    #[case::nobody_knows(999, Fault::Unclear, false)]
    fn a_status_means_what_its_row_says(
        #[case] status: u16,
        #[case] fault: Fault,
        #[case] lasting: bool,
    ) {
        let found = find(status);
        assert_eq!((found.fault, found.lasting), (fault, lasting));
    }
}
