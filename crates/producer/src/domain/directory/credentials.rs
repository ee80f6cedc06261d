//! Which credential to send with.

use std::sync::Arc;

use common::{Credential, Destination, Recipients};

use super::Directory;

impl Directory {
    /// The credential for `destination` of the first of `recipients` who still has the
    /// place; else of the first who has another of its kind, where a token is the user's
    /// whichever channel it speaks in. `None` where nobody has either.
    pub fn credential_for(
        &self,
        recipients: &Recipients,
        destination: &Destination,
    ) -> Option<&Arc<Credential>> {
        let places = || {
            recipients
                .iter()
                .filter_map(|recipient| self.user(recipient.user))
                .flat_map(|user| user.destinations.iter())
        };
        let kind = &destination.kind;
        let here = places().find(|place| place.destination.id == destination.id);
        let alike = || {
            kind.has_credentials_of_users()
                .then(|| places().find(|place| place.destination.kind == *kind))
                .flatten()
        };
        here.or_else(alike).map(|place| &place.credential)
    }
}

#[cfg(test)]
mod tests {
    use common::{CredentialId, Recipient};

    use super::*;
    use crate::domain::fixtures::{two_users, user, user_id, with_hooks};

    /// Of a delivery to users of these numbers, at that place of the first's.
    fn chosen(directory: &Directory, users: &[u128], place: &Destination) -> Option<CredentialId> {
        let recipients = users.iter().map(|n| Recipient {
            user: user_id(*n),
            target: 0,
        });
        let found = directory.credential_for(&recipients.collect(), place);
        found.map(|credential| credential.id)
    }

    fn first_of(directory: &Directory, n: u128) -> Destination {
        let user = directory.user(user_id(n)).unwrap();
        (*user.destinations.first().destination).clone()
    }

    #[test]
    fn it_is_the_users_own_for_the_place_wherever_the_user_is_now() {
        let mut directory = two_users();
        let place = first_of(&directory, 1);
        assert_eq!(chosen(&directory, &[1], &place), Some(CredentialId(1)));
        directory.insert_user(user(1, "ann", "elsewhere", 7));
        assert_eq!(chosen(&directory, &[1], &place), Some(CredentialId(7)));
    }

    #[test]
    fn who_still_has_the_place_comes_before_who_has_moved_and_who_is_gone_does_not_count() {
        let mut directory = two_users();
        let place = first_of(&directory, 2);
        assert_eq!(chosen(&directory, &[1, 2], &place), Some(CredentialId(2)));
        directory.remove_user(user_id(2));
        assert_eq!(chosen(&directory, &[1, 2], &place), Some(CredentialId(1)));
        directory.remove_user(user_id(1));
        assert_eq!(chosen(&directory, &[1, 2], &place), None);
    }

    #[test]
    fn a_webhook_that_is_gone_has_none() {
        let mut directory = two_users();
        let ann = user(1, "ann", "channel1", 1);
        let hooks = [
            (11, "https://example.org/a", 8),
            (12, "https://example.org/b", 9),
        ];
        directory.insert_user(with_hooks(&ann, &hooks));
        let hook = &directory.user(user_id(1)).unwrap().destinations.further()[0];
        let hook = (*hook.place.destination).clone();
        assert_eq!(chosen(&directory, &[1], &hook), Some(CredentialId(8)));
        directory.insert_user(with_hooks(&ann, &hooks[1..]));
        assert_eq!(chosen(&directory, &[1], &hook), None);
    }
}
