//! The alert and the deliveries it becomes.

use std::{collections::HashSet, sync::Arc};

use smallvec::SmallVec;

use crate::{
    AlertId, ApiTokenId, Credential, DeliveryId, Destination, Gtid, Severity, UserId, UtcMillis,
};

/// One alert as it was accepted.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Fixed before anything is published.
    pub id: AlertId,
    /// The API token that it was posted with; `None` where none was asked for, and for
    /// what this system posts itself.
    pub caller: Option<ApiTokenId>,
    /// The request that brought it; stands on every log line about it.
    pub gtid: Gtid,
    /// How urgent it is.
    pub severity: Severity,
    /// The text as the caller sent it, plain.
    pub message: Box<str>,
    /// Whether the text is delivered as it is, without the severity before it: it
    /// was found in the queue, from a producer that had put it there itself.
    pub verbatim: bool,
    /// The targets as the caller named them, normalised.
    pub targets: Box<[Box<str>]>,
    /// When it was accepted.
    pub accepted_at: UtcMillis,
}

impl Alert {
    /// What its reader sees: `[normal] node1 down`. Escaping for a provider is
    /// its channel's business.
    pub fn text(&self) -> String {
        match self.verbatim {
            true => self.message.to_string(),
            false => format!("[{}] {}", self.severity, self.message),
        }
    }
}

/// A user whom a delivery serves, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Whom.
    pub user: UserId,
    /// The place in [`Alert::targets`] of the first target that matched.
    pub target: u32,
}

/// The users one delivery serves: nearly always one.
pub type Recipients = SmallVec<[Recipient; 1]>;

/// One message to one destination with one credential, for every user of the
/// alert who shares the two.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub destination: Arc<Destination>,
    /// With what, as of acceptance.
    pub credential: Arc<Credential>,
    /// For whom; never empty.
    pub recipients: Recipients,
}

impl Delivery {
    /// This delivery's id within `alert`.
    pub fn id(&self, alert: AlertId) -> DeliveryId {
        DeliveryId::of(alert, self.destination.id, self.credential.id)
    }
}

/// How many users are among the recipients of an alert's deliveries, each counted once.
pub fn count_users<'a>(deliveries: impl IntoIterator<Item = &'a Recipients>) -> usize {
    let mut deliveries = deliveries.into_iter();
    let Some(first) = deliveries.next() else {
        return 0;
    };
    // Most alerts have one delivery, and a delivery names a user once.
    let Some(second) = deliveries.next() else {
        return first.len();
    };
    let all = [first, second].into_iter().chain(deliveries);
    let users: HashSet<UserId> = all.flatten().map(|recipient| recipient.user).collect();
    users.len()
}

/// An alert with all its deliveries: what is accepted whole or not at all.
#[derive(Clone, Debug)]
pub struct AcceptedAlert {
    /// The alert.
    pub alert: Arc<Alert>,
    /// One for each destination and credential; empty where nobody matched.
    pub deliveries: Vec<Delivery>,
}

impl AcceptedAlert {
    /// How many users it tells, each counted once however many destinations they have.
    pub fn user_count(&self) -> usize {
        let recipients = self.deliveries.iter().map(|delivery| &delivery.recipients);
        count_users(recipients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbatim_text_is_shown_as_it_came_and_any_other_after_its_severity() {
        let mut alert = Alert {
            id: AlertId::generate(),
            caller: None,
            gtid: Gtid::random(),
            severity: Severity::Normal,
            message: "node1 down".into(),
            verbatim: false,
            targets: Box::default(),
            accepted_at: UtcMillis(0),
        };
        assert_eq!(alert.text(), "[normal] node1 down");
        alert.verbatim = true;
        assert_eq!(alert.text(), "node1 down");
    }
}
