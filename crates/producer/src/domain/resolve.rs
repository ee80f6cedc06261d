//! From targets to deliveries.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use common::{CredentialId, Delivery, DestinationId, Recipient, Recipients, UserId};
use smallvec::smallvec;

use super::{Directory, Target, User};

/// Whom a list of targets reaches.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// One for each destination and credential, in the order in which the
    /// targets named them.
    pub deliveries: Vec<Delivery>,
    /// Users reached, each counted once.
    pub user_count: usize,
    /// The places, in the list of targets, of those that matched nobody.
    pub unknown: Vec<usize>,
}

/// Works out whom `targets`, normalised, concern. A user reached in several ways
/// is told once, by the first of them.
pub fn resolve(directory: &Directory, targets: &[Box<str>]) -> Resolution {
    let mut recipients = Found::default();
    let mut unknown = Vec::new();
    let mut seen = HashSet::with_capacity(targets.len());
    for (place, text) in targets.iter().enumerate() {
        // A target named again reaches nobody more, however many it reaches.
        if !seen.insert(&**text) {
            continue;
        }
        let target = u32::try_from(place).unwrap_or(u32::MAX);
        let matched = match Target::parse(text) {
            Target::All => {
                let any = recipients.add_each(directory.users(), target);
                recipients.has_everybody = true;
                any
            }
            Target::User(name) => recipients.add_each(directory.user_named(name), target),
            Target::Group(name) => {
                let group = directory.group_named(name);
                recipients.add_each(
                    group.iter().flat_map(|group| directory.members(group.id)),
                    target,
                )
            }
            Target::Unmarked => false,
        };
        if !matched {
            unknown.push(place);
        }
    }
    Resolution {
        deliveries: recipients.deliveries,
        user_count: recipients.users.len(),
        unknown,
    }
}

/// The recipients found so far.
#[derive(Default)]
struct Found {
    users: HashSet<UserId>,
    /// Nobody can be added any more.
    has_everybody: bool,
    deliveries: Vec<Delivery>,
    places: HashMap<(DestinationId, CredentialId), usize>,
}

impl Found {
    /// Adds those who are not in yet; says whether there was anybody at all.
    fn add_each<'a>(
        &mut self,
        users: impl IntoIterator<Item = &'a std::sync::Arc<User>>,
        target: u32,
    ) -> bool {
        let mut any = false;
        for user in users {
            any = true;
            if self.has_everybody {
                break;
            }
            if self.users.insert(user.id) {
                self.add(user, target);
            }
        }
        any
    }

    fn add(&mut self, user: &User, target: u32) {
        let recipient = Recipient {
            user: user.id,
            target,
        };
        for place in user.destinations.iter() {
            match self
                .places
                .entry((place.destination.id, place.credential.id))
            {
                Entry::Occupied(known) => self.deliveries[*known.get()].recipients.push(recipient),
                Entry::Vacant(new) => {
                    new.insert(self.deliveries.len());
                    let recipients: Recipients = smallvec![recipient];
                    self.deliveries.push(Delivery {
                        destination: place.destination.clone(),
                        credential: place.credential.clone(),
                        recipients,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
