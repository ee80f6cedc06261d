//! Who there is, who is told, and what goes wrong at the mockup.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use rand::{RngExt, rngs::StdRng};
use serde_json::{Map, Value, json};

use crate::harness::Directory;

/// 60 users with channels of their own, 4 channels that two users share, and 12
/// groups.
pub(super) fn directory(rng: &mut StdRng) -> Directory {
    let mut directory = Directory::of_users(64);
    for shared in 61..=64 {
        directory.add_user(&format!("C{shared}"), &format!("token-{shared}"));
    }
    for _ in 0..12 {
        let members: BTreeSet<usize> = (0..8).map(|_| rng.random_range(0..68)).collect();
        directory.add_group(members.into_iter().collect());
    }
    directory
}

/// What can be named in a target.
pub(super) struct Names(BTreeMap<&'static str, Vec<String>>);

impl Names {
    pub(super) fn of(directory: &Directory) -> Self {
        let users = directory
            .users
            .iter()
            .map(|user| format!("@{}", user.name))
            .collect();
        let groups = directory
            .groups
            .iter()
            .map(|group| format!("@@{}", group.name))
            .collect();
        Self(BTreeMap::from([("users", users), ("groups", groups)]))
    }

    /// One to three targets: mostly users and groups, seldom everybody or nobody.
    pub(super) fn some(&self, rng: &mut StdRng) -> Vec<String> {
        let mut target = || match rng.random_range(0..100) {
            0 => "@all".to_owned(),
            1..4 => "@nobody".to_owned(),
            4..30 => self.0["groups"][rng.random_range(0..self.0["groups"].len())].clone(),
            _ => self.0["users"][rng.random_range(0..self.0["users"].len())].clone(),
        };
        let first = target();
        let mut targets = vec![first, target(), target()];
        targets.truncate(rng.random_range(1..=3));
        targets
    }
}

/// A tenth of the requests fail, at each fourth channel in another way, after a random
/// time; a few answers are lost.
pub(super) fn many_faults(round: u32) -> Value {
    let channels: Map<_, _> = (1..=64)
        .map(|number| {
            let faults = match number % 4 {
                0 => json!({ "status": 429, "retryAfter": 2 + number % 5 + round % 3 }),
                1 => json!({ "status": 503, "retryAfter": 1 + number % 3 }),
                2 => json!({ "error": "internal_error" }),
                _ => json!({ "rateLimitPerSecond": 10, "rateBurst": 10 + number % 8 }),
            };
            (format!("C{number}"), faults)
        })
        .collect();
    json!({
        "latencyMs": 12, "jitterMs": 12, "errorRate": 0.1, "loseAnswerRate": 0.005,
        "channels": channels,
    })
}

/// What goes wrong at the mockup, by turns.
pub(super) fn faults(round: u32) -> &'static Value {
    static FAULTS: OnceLock<[Value; 4]> = OnceLock::new();
    let faults = FAULTS.get_or_init(|| {
        [
            json!({ "latencyMs": 12, "jitterMs": 8 }),
            json!({ "latencyMs": 3, "jitterMs": 3 }),
            json!({}),
            json!({ "latencyMs": 2, "errorRate": 0.01, "loseAnswerRate": 0.01 }),
        ]
    });
    &faults[round as usize % faults.len()]
}
