//! Who did what: what the audit log has a line of.

mod deed;

use common::UtcMillis;
use uuid::Uuid;

pub use deed::Deed;

use super::Caller;

/// The longest detail that is kept, in characters; what is longer is cut.
const LONGEST_DETAIL: usize = 500;

/// What somebody has done, or has asked for, to be written down.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Who, and from where.
    pub by: Caller,
    /// What, to what.
    pub deed: Deed,
}

/// A line of the audit log. Lines are added and never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// In the order in which they were written. A line that was not written in the end may
    /// leave a gap.
    pub sequence: u64,
    /// When.
    pub at: UtcMillis,
    /// Who: the id of an API token; `local` for whoever may read the data itself;
    /// `anybody` where the API asked for no token.
    pub who: Box<str>,
    /// The address that it came from, where it came over the network.
    pub address: Option<Box<str>>,
    /// What was done: [`Action::as_str`], or the word of a newer version.
    pub action: Box<str>,
    /// The id of what it was done to, where that is one thing.
    pub subject: Option<Uuid>,
    /// More of it, for people. Never a secret.
    pub detail: Box<str>,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A user is new.
    UserCreated,
    /// A user was changed.
    UserUpdated,
    /// A user is gone.
    UserDeleted,
    /// A user's destination after the first is new.
    DestinationCreated,
    /// Such a destination was changed.
    DestinationUpdated,
    /// Such a destination is gone.
    DestinationDeleted,
    /// A group is new.
    GroupCreated,
    /// A group was changed.
    GroupUpdated,
    /// A group is gone.
    GroupDeleted,
    /// A user is in a group.
    Subscribed,
    /// A user is no longer in a group.
    Unsubscribed,
    /// Users and groups were changed, many at once.
    Imported,
    /// An API token is new.
    TokenCreated,
    /// An API token is taken no longer.
    TokenRevoked,
    /// What of an alert had not been sent was to be cancelled.
    AlertCancelled,
    /// A delivery was to be sent once more.
    DeliveryReplayed,
    /// Dead letters were to be sent once more.
    DeadLettersReplayed,
    /// What went to one place was to be sent once more.
    AlertsReplayed,
    /// A dead letter was to be discarded.
    DeadLetterDiscarded,
    /// Stored secrets were to be sealed with a new key.
    SecretsRotated,
}

impl Action {
    /// The word that is kept and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserUpdated => "user.updated",
            Self::UserDeleted => "user.deleted",
            Self::DestinationCreated => "destination.created",
            Self::DestinationUpdated => "destination.updated",
            Self::DestinationDeleted => "destination.deleted",
            Self::GroupCreated => "group.created",
            Self::GroupUpdated => "group.updated",
            Self::GroupDeleted => "group.deleted",
            Self::Subscribed => "group.subscribed",
            Self::Unsubscribed => "group.unsubscribed",
            Self::Imported => "directory.imported",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::AlertCancelled => "alert.cancelled",
            Self::DeliveryReplayed => "delivery.replayed",
            Self::DeadLettersReplayed => "dead_letters.replayed",
            Self::AlertsReplayed => "alerts.replayed",
            Self::DeadLetterDiscarded => "dead_letter.discarded",
            Self::SecretsRotated => "secrets.rotated",
        }
    }
}

/// `text`, or as much of it as is kept.
fn cut(text: String) -> Box<str> {
    match text.char_indices().nth(LONGEST_DETAIL) {
        None => text.into(),
        Some((end, _)) => [&text[..end], "…"].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        assert_eq!(&*cut("가".repeat(500)), "가".repeat(500));
        assert_eq!(&*cut("가".repeat(501)), format!("{}…", "가".repeat(500)));
    }
}
