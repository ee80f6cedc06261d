//! Producers and a consumer over a Kafka and a PostgreSQL.

use serde_json::json;
use tests::{
    harness::{Scratch, until},
    scaled_out::{Member, Site, SiteOptions},
    search::{ByteSearch, Search},
    services::{Kafka, Postgres},
};

use crate::{
    assert_nothing_in,
    caller::Caller,
    told_of,
    work::{
        add_hook, alert, be_refused, change_tokens, directory, look_at_everything, make_mistakes,
    },
    write_private,
};

/// What a process of the site reads its settings from: nothing secret in its environment
/// or on its command line.
struct Settings {
    folder: Scratch,
    text: String,
}

impl Settings {
    fn of(options: &SiteOptions, search: &mut Search) -> Self {
        let folder = Scratch::new("canary-settings");
        let mut text = String::new();
        for (name, value) in options.environment() {
            let key = name.trim_start_matches("ERROR_NOTIFIER_").to_lowercase();
            if key != "kafka_keys" {
                text += &format!("{} = {}\n", key.replace('_', "-"), json!(value));
            }
        }
        for (setting, place) in [
            ("kafka-key-file", "Kafka"),
            ("secret-key-file", "the database"),
        ] {
            let path = folder.join(setting);
            write_private(&path, &search.key(place, "k1"));
            if setting == "kafka-key-file" {
                text += &format!("{setting} = {}\n", json!(path));
            }
        }
        let password = search.secret("Kafka's account");
        text += &format!("[kafka]\n\"sasl.password\" = {}\n", json!(password));
        Self { folder, text }
    }

    /// The settings of all, after those of one.
    fn file(&self, name: &str, more: &str) -> String {
        let path = self.folder.join(name);
        write_private(&path, &format!("{more}{}", self.text));
        path.to_str().unwrap().to_owned()
    }
}

fn loud(member: Member) -> Member {
    member.with("--log-level", "trace")
}

#[test]
fn of_many_processes_no_file_log_topic_or_listing_holds_a_secret() {
    let (kafka, postgres) = (Kafka::start(1), Postgres::start());
    let mut search = Search::default();
    search.made_elsewhere("the database's account", postgres.password());
    let options = SiteOptions::on(&kafka, &postgres).partitions(3);
    let settings = Settings::of(&options, &mut search);
    let keys = settings.folder.join("secret-key-file");
    let of_producers = format!(
        "database-url = {}\nsecret-key-file = {}\n",
        json!(options.database()),
        json!(keys)
    );
    let of_producers = settings.file("producer.toml", &of_producers);
    let of_consumers = settings.file("consumer.toml", "");

    let mut site = Site::new(options, directory(&mut search));
    for number in 0..2 {
        let mut producer = loud(site.producer().by_file(&of_producers))
            .with("--log-http", "full")
            .with("--ops-target", "@user2");
        producer.start();
        if number == 0 {
            site.directory.import_at(producer.address());
        }
        site.producers.push(producer);
    }
    let mut consumer =
        loud(site.consumer().by_file(&of_consumers)).with("--webhook-allow", "127.0.0.0/8");
    consumer.start();
    site.consumers.push(consumer);
    for producer in &site.producers {
        site.directory.await_at(producer.address());
    }

    let mut caller = Caller::of(site.producers[0].address(), &mut search);
    let user = site.directory.users[0].id.to_string();
    add_hook(&mut caller, &site.mockup, &mut search, &user);
    change_tokens(&mut caller, &mut search);
    alert(&mut caller, "well");
    make_mistakes(&mut caller, &mut search);
    let token = &site.directory.users[0].token;
    be_refused(&mut caller, &site.mockup, token);
    // The new key is put first on all, which here have one file; then one is told.
    let both = format!(
        "{}\n{}\n",
        search.key("the rotated database", "k2"),
        std::fs::read_to_string(&keys).unwrap()
    );
    write_private(&keys, &both);
    let mut other = caller.at(site.producers[1].address());
    until("the token at the other producer", || {
        other.get("/v1/users").0 == 200
    });
    let (status, rotated) = other.json("POST", "/v1/secrets/rotate", &json!({}));
    assert_eq!(
        (status, &rotated["data"]["keyId"]),
        (200, &json!("k2")),
        "{rotated}"
    );
    change_tokens(&mut caller, &mut search);
    let last = alert(&mut caller, "after the rotation");
    until("the last message", || {
        site.mockup
            .messages()
            .iter()
            .any(|one| one.text.contains("after the rotation"))
    });
    caller.follow(&last);
    look_at_everything(&mut caller);

    let mut texts: Vec<_> = site
        .producers
        .iter_mut()
        .chain(&mut site.consumers)
        .flat_map(|member| told_of(member.process().id()))
        .collect();
    texts.append(&mut caller.shown);
    texts.append(&mut other.shown);
    postgres.administer(site.options.database_name(), "CHECKPOINT");
    let database = postgres.folder().join("data");
    let topics = kafka.folder().unwrap().to_owned();
    let folders = [site.scratch.path(), database.as_path(), topics.as_path()];
    assert_nothing_in(&search, &folders, &texts);
    let received = site.mockup.messages();
    assert!(
        received.iter().any(|one| one.token == *token),
        "it was used"
    );
    assert!(
        received.iter().any(|one| one.webhook.is_some()),
        "and so was the webhook"
    );
    // What is not sealed is found in all three.
    let mut plain = Search::default();
    plain.made_elsewhere("a channel", "changed");
    let seen = ByteSearch::of(&plain);
    assert!(!seen.found_below(&database).is_empty());
    for member in site.producers.iter_mut().chain(&mut site.consumers) {
        member.stop();
    }
    assert_nothing_in(&search, &folders, &[]);
}
