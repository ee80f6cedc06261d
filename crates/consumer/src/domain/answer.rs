//! What an external service said to one request.

use std::time::Duration;

/// The end of one request to an external service, as its channel understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The service has taken the message.
    Accepted {
        /// The HTTP status.
        status: u16,
        /// The service's own id of the message, where it gave one (Slack: `ts`).
        provider_id: Option<String>,
    },
    /// The service has not taken the message.
    Refused(Refusal),
    /// The request was written and no usable answer came: the service may have
    /// taken the message. It is sent again, and the attempt is recorded as this.
    MaybeAccepted {
        /// What happened, for the record: `no answer within 10 s`.
        reason: String,
    },
}

/// A refusal and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose fault it is, which decides who waits.
    pub fault: Fault,
    /// True where sending the same again can never succeed: the delivery is dead.
    pub lasting: bool,
    /// How long the service asked to be left alone, already bounded to one hour.
    pub retry_after: Option<Duration>,
    /// The HTTP status, where there was an answer at all.
    pub status: Option<u16>,
    /// The service's error code or a short description, without secrets:
    /// `channel_not_found`, `connection refused`.
    pub reason: String,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The place is limited or broken: all that goes there waits.
    Destination,
    /// This one message cannot be taken: it alone steps aside.
    Payload,
    /// The token is not accepted: all that uses it is concerned.
    Credential,
    /// The service as a whole cannot be reached or is out of order.
    Host,
    /// A code that the channel does not know: twice in a row while others pass
    /// it is the payload's, else the destination's.
    Unclear,
}

impl Fault {
    /// The word for records, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::Destination => "destination",
            Fault::Payload => "payload",
            Fault::Credential => "credential",
            Fault::Host => "host",
            Fault::Unclear => "unclear",
        }
    }
}
