//! A directory that the test knows too, so that it can say who is concerned.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::json;
use uuid::Uuid;

use super::{LONG, Server, request, wait_for};

/// Targets that one request can name, by far.
const ASKED_AT_ONCE: usize = 500;

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: Uuid,
    /// The name, without `@`.
    pub name: String,
    /// The token.
    pub token: String,
    /// The channel id.
    pub channel: String,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id.
    pub id: Uuid,
    /// The name, without `@@`.
    pub name: String,
    /// Its members, as places in [`Directory::users`].
    pub members: Vec<usize>,
}

/// Users and groups.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
}

impl Directory {
    /// So many users `user1`, `user2`, …, each with a channel `C1`, … of their
    /// own, and no groups.
    pub fn of_users(count: usize) -> Self {
        let mut directory = Self::default();
        for number in 1..=count {
            directory.add_user(&format!("C{number}"), &format!("token-{number}"));
        }
        directory
    }

    /// Adds a user, named by number.
    pub fn add_user(&mut self, channel: &str, token: &str) {
        let number = self.users.len() + 1;
        self.users.push(User {
            id: Uuid::from_u128(number as u128),
            name: format!("user{number}"),
            token: token.into(),
            channel: channel.into(),
        });
    }

    /// Adds a group `group1`, `group2`, ….
    pub fn add_group(&mut self, members: Vec<usize>) {
        let number = self.groups.len() + 1;
        let id = Uuid::from_u128(number as u128);
        self.groups.push(Group {
            id,
            name: format!("group{number}"),
            members,
        });
    }

    /// As an import takes it.
    pub fn lines(&self) -> String {
        let users = self.users.iter().map(|user| {
            json!({ "type": "user", "id": user.id, "name": user.name, "token": user.token, "channelId": user.channel })
        });
        let groups = self.groups.iter().map(|group| {
            let members: Vec<_> = group.members.iter().map(|place| self.users[*place].id).collect();
            json!({ "type": "group", "id": group.id, "name": group.name, "desc": "a test's group", "users": members })
        });
        users
            .chain(groups)
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Brings it into a server.
    pub fn import(&self, server: &Server) {
        self.import_at(server.address());
    }

    /// Brings it into whatever listens there.
    pub fn import_at(&self, address: SocketAddr) {
        let mut connection = super::Connection::open(address).expect("a server");
        let headers = [("Content-Type", "application/x-ndjson")];
        let answer = connection.request("POST", "/v1/directory", &headers, self.lines().as_bytes());
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits until whatever listens there knows all of it.
    pub fn await_at(&self, address: SocketAddr) {
        let users = self.users.iter().map(|user| format!("@{}", user.name));
        let groups = self.groups.iter().map(|group| format!("@@{}", group.name));
        let targets: Vec<String> = users.chain(groups).collect();
        for targets in targets.chunks(ASKED_AT_ONCE) {
            let alert = json!({ "target": targets, "severity": "low", "message": "who is there" });
            let path = "/v1/alerts?dryRun=true";
            wait_for("a directory that is known", LONG, || {
                let asked = request(address, "POST", path, alert.to_string().as_bytes());
                let answer = asked.expect("an answer").json();
                (answer["data"]["unknownTargets"] == json!([])).then_some(())
            });
        }
    }

    /// The users whom these targets concern, as places in `users`.
    pub fn reached(&self, targets: &[String]) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        for target in targets {
            if target == "@all" {
                reached.extend(0..self.users.len());
            } else if let Some(name) = target.strip_prefix("@@") {
                let members = self.groups.iter().filter(|group| group.name == name);
                reached.extend(members.flat_map(|group| group.members.iter().copied()));
            } else if let Some(name) = target.strip_prefix('@') {
                let named = self.users.iter().position(|user| user.name == name);
                reached.extend(named);
            }
        }
        reached
    }

    /// The channels at which those users are told.
    pub fn channels(&self, targets: &[String]) -> BTreeSet<&str> {
        self.reached(targets)
            .into_iter()
            .map(|place| self.users[place].channel.as_str())
            .collect()
    }

    /// The token that belongs to a channel; `None` for an unknown one. Users who
    /// share a channel share its token here.
    pub fn token(&self, channel: &str) -> Option<&str> {
        self.users
            .iter()
            .find(|user| user.channel == channel)
            .map(|user| user.token.as_str())
    }
}
