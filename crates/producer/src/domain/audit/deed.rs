//! What was done, to what.

use common::{GroupId, UserId};
use uuid::Uuid;

use super::{Action, cut};
use crate::domain::{Command, Directory, Effect};

/// How many of many are told by name. Names of 30 characters, they are still cut.
const NAMED: usize = 20;

/// What was done, to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What.
    pub action: Action,
    /// The id of what it was done to, where that is one thing.
    pub subject: Option<Uuid>,
    /// More of it, for people: at most 500 characters, and never a secret.
    pub detail: Box<str>,
}

impl Deed {
    /// A deed; a long detail is cut.
    pub fn new(action: Action, subject: Option<Uuid>, detail: String) -> Self {
        Self {
            action,
            subject,
            detail: cut(detail),
        }
    }

    /// What `commands`, carried out together, came to with those effects, one each;
    /// `before` is the directory before them. `None` where all was so already.
    pub fn of(before: &Directory, commands: &[Command], effects: &[Effect]) -> Option<Self> {
        match (commands, effects) {
            (_, effects) if effects.iter().all(|effect| *effect == Effect::Unchanged) => None,
            ([command], [effect]) => Some(Self::of_one(before, command, *effect)),
            (commands, effects) => Some(Self::new(Action::Imported, None, sums(commands, effects))),
        }
    }

    fn of_one(before: &Directory, command: &Command, effect: Effect) -> Self {
        let is_new = effect == Effect::Created;
        let either = |created, updated| if is_new { created } else { updated };
        match command {
            Command::CreateUser(record) | Command::PutUser(record) => Self::new(
                either(Action::UserCreated, Action::UserUpdated),
                Some(record.id.0),
                record.name.to_string(),
            ),
            Command::RemoveUser(id) => {
                Self::new(Action::UserDeleted, Some(id.0), user(before, *id))
            }
            Command::CreateDestination(owner, record, _)
            | Command::PutDestination(owner, record, _) => Self::new(
                either(Action::DestinationCreated, Action::DestinationUpdated),
                Some(record.id.0),
                format!(
                    "{} of {}",
                    record.place.destination().hinted(),
                    user(before, *owner)
                ),
            ),
            Command::RemoveDestination(owner, id) => Self::new(
                Action::DestinationDeleted,
                Some(id.0),
                format!("of {}", user(before, *owner)),
            ),
            Command::CreateGroup(record) | Command::PutGroup(record) => Self::new(
                either(Action::GroupCreated, Action::GroupUpdated),
                Some(record.id.0),
                record.name.to_string(),
            ),
            Command::RemoveGroup(id) => {
                Self::new(Action::GroupDeleted, Some(id.0), group(before, *id))
            }
            Command::Subscribe(to, who) => Self::new(
                Action::Subscribed,
                Some(to.0),
                format!("{} to {}", user(before, *who), group(before, *to)),
            ),
            Command::Unsubscribe(from, who) => Self::new(
                Action::Unsubscribed,
                Some(from.0),
                format!("{} from {}", user(before, *who), group(before, *from)),
            ),
            Command::CreateApiToken(record) => Self::new(
                Action::TokenCreated,
                Some(record.id.0),
                format!("{}: {}", record.name.as_str(), record.grant.scopes()),
            ),
            Command::RevokeApiToken(id) => {
                let token = before.api_token(*id);
                let name = token.map(|token| token.record.name.as_str().to_owned());
                Self::new(Action::TokenRevoked, Some(id.0), name.unwrap_or_default())
            }
        }
    }
}

fn user(directory: &Directory, id: UserId) -> String {
    directory
        .user(id)
        .map_or_else(|| id.to_string(), |user| user.name.to_string())
}

fn group(directory: &Directory, id: GroupId) -> String {
    directory
        .group(id)
        .map_or_else(|| id.to_string(), |group| group.name.to_string())
}

/// How many of many.
fn sums(commands: &[Command], effects: &[Effect]) -> String {
    let of = |wanted: fn(&Command) -> bool, effect: Effect| {
        let both = commands.iter().zip(effects);
        both.filter(|(command, found)| wanted(command) && **found == effect)
            .count()
    };
    let is_group =
        |command: &Command| matches!(command, Command::PutGroup(_) | Command::CreateGroup(_));
    let is_other =
        |command: &Command| !matches!(command, Command::PutGroup(_) | Command::CreateGroup(_));
    format!(
        "users: {} created, {} updated; groups: {} created, {} updated: {}",
        of(is_other, Effect::Created),
        of(is_other, Effect::Updated),
        of(is_group, Effect::Created),
        of(is_group, Effect::Updated),
        changed(commands, effects),
    )
}

/// Whom and which of many, as far as they can be told in a line.
fn changed(commands: &[Command], effects: &[Effect]) -> String {
    let both = commands.iter().zip(effects);
    let mut names = both
        .filter(|(_, effect)| **effect != Effect::Unchanged)
        .filter_map(|(command, _)| match command {
            Command::CreateUser(record) | Command::PutUser(record) => Some(record.name.as_str()),
            Command::CreateGroup(record) | Command::PutGroup(record) => Some(record.name.as_str()),
            _ => None,
        });
    let first: Vec<_> = names.by_ref().take(NAMED).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Address, DestinationRecord, Place, Token, UserName, UserRecord,
        fixtures::{HOOK_SECRET, group_id, two_users, user_id},
    };

    fn record(n: u128, name: &str) -> UserRecord {
        UserRecord {
            id: user_id(n),
            name: UserName::parse(name).unwrap(),
            address: Address::parse("C1").unwrap(),
            token: Some(Token::parse("xoxb-secret").unwrap()),
            destinations: None,
        }
    }

    fn of_one(command: Command, effect: Effect) -> Option<Deed> {
        Deed::of(&two_users(), &[command], &[effect])
    }

    #[test]
    fn one_command_is_told_by_name() {
        let deed = of_one(Command::CreateUser(record(7, "cat")), Effect::Created).unwrap();
        assert_eq!(deed.action.as_str(), "user.created");
        assert_eq!(deed.subject, Some(user_id(7).0));
        assert_eq!(&*deed.detail, "cat");
        let deed = of_one(Command::RemoveUser(user_id(1)), Effect::Updated).unwrap();
        assert_eq!(
            (deed.action.as_str(), &*deed.detail),
            ("user.deleted", "ann")
        );
        let subscribe = Command::Subscribe(group_id(2), user_id(2));
        let deed = of_one(subscribe, Effect::Updated).unwrap();
        assert_eq!(
            (deed.action.as_str(), &*deed.detail),
            ("group.subscribed", "ben to admins")
        );
    }

    #[test]
    fn what_was_so_already_is_no_deed() {
        assert_eq!(
            of_one(Command::PutUser(record(1, "ann")), Effect::Unchanged),
            None
        );
        assert_eq!(Deed::of(&two_users(), &[], &[]), None);
    }

    #[test]
    fn many_commands_are_told_by_their_number_and_the_first_twenty_names() {
        let commands = [
            Command::PutUser(record(1, "ann")),
            Command::PutUser(record(7, "cat")),
            Command::PutUser(record(8, "dot")),
        ];
        let effects = [Effect::Unchanged, Effect::Created, Effect::Created];
        let deed = Deed::of(&two_users(), &commands, &effects).unwrap();
        assert_eq!(deed.action, Action::Imported);
        assert_eq!(
            &*deed.detail,
            "users: 2 created, 0 updated; groups: 0 created, 0 updated: cat, dot"
        );
        let commands: Vec<_> = (0..23)
            .map(|n| Command::PutUser(record(100 + n, &format!("user{n}"))))
            .collect();
        let deed = Deed::of(&two_users(), &commands, &[Effect::Created; 23]).unwrap();
        assert!(
            deed.detail.ends_with("0 updated: user0, user1, user2, user3, user4, user5, user6, user7, user8, user9, user10, user11, user12, user13, user14, user15, user16, user17, user18, user19 and 3 more"),
            "{}",
            deed.detail
        );
    }

    #[test]
    fn no_secret_is_in_a_deed() {
        let place = Place::parse("webhook", "https://example.org/path?key=secret").unwrap();
        let record = DestinationRecord {
            id: common::UserDestinationId(Uuid::from_u128(1)),
            credential: Some(place.credential(HOOK_SECRET).unwrap()),
            place,
        };
        let command = Command::CreateDestination(user_id(1), record, None);
        let deed = of_one(command, Effect::Created).unwrap();
        assert_eq!(&*deed.detail, "webhook https://example.org of ann");
    }
}
