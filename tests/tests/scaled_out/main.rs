//! The scaled-out form as its users meet it: producers and consumers as processes, over a
//! real Kafka and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test outside #[test] functions")]

mod chaos;
mod original;
mod outages;
mod restarting;
mod starting;
mod whole;

use tests::{
    harness::{Directory, LONG, Message, wait_for},
    scaled_out::{Site, SiteOptions},
    services::{Kafka, Postgres},
};

/// A site on the servers that the tests of this program share.
fn site(users: usize, producers: usize, consumers: usize) -> Site {
    let options = SiteOptions::on(Kafka::shared(), Postgres::shared());
    Site::start(options, Directory::of_users(users), producers, consumers)
}

/// Waits until so many messages came to a channel; gives those.
fn wait_for_messages(site: &Site, channel: &str, count: usize) -> Vec<Message> {
    wait_for("messages in a channel", LONG, || {
        let mut messages = site.mockup.messages();
        messages.retain(|message| message.channel == channel);
        (messages.len() >= count).then_some(messages)
    })
}
