//! From posted to received, at an easy pace, beside the same client posting to
//! the mockup without anybody in between.

use std::{
    collections::HashMap,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tests::{
    figures::{Times, row},
    harness::{
        Alert, Connection, Directory, LONG, Mockup, Outcome, Scratch, ServerOptions, post, wait_for,
    },
};

const DESTINATIONS: usize = 200;
const ALERTS: usize = 300;
/// 20 a second.
const INTERVAL: Duration = Duration::from_millis(50);

pub(crate) fn measure() {
    let scratch = Scratch::new("measure");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup).with("--slack-pace", "1");
    let server = options.start();
    let directory = Directory::of_users(DESTINATIONS);
    directory.import(&server);
    let mut client = Connection::open(server.address()).expect("a server");
    let mut bare = Connection::open(mockup.address()).expect("a mockup");
    let mut posted = HashMap::new();
    let mut answered = Vec::new();

    let begun = Instant::now();
    for number in 0..ALERTS as u32 {
        // Each at its own time, however long those before it took.
        sleep((begun + INTERVAL * number).saturating_duration_since(Instant::now()));
        let user = &directory.users[number as usize * 7 % DESTINATIONS];
        let alert = Alert {
            targets: vec![format!("@{}", user.name)],
            severity: "normal",
            message: format!("node{number} down"),
        };
        posted.insert(alert.text(), Timestamp::now());
        let sent = Instant::now();
        assert!(matches!(
            post(&mut client, &alert),
            Outcome::Accepted { .. }
        ));
        answered.push(sent.elapsed());

        sleep((begun + INTERVAL * number + INTERVAL / 2).saturating_duration_since(Instant::now()));
        let text = format!("bare {number}");
        let body = json!({ "channel": "bare", "text": text }).to_string();
        posted.insert(text, Timestamp::now());
        let headers = [("Authorization", "Bearer bare")];
        bare.request("POST", "/api/chat.postMessage", &headers, body.as_bytes())
            .expect("an answer");
    }
    let messages = wait_for("all messages", LONG, || {
        (mockup.stats().accepted >= 2 * ALERTS as u64).then(|| mockup.messages())
    });
    let took = |is_bare: bool| -> Times {
        let mine = messages
            .iter()
            .filter(|message| (message.channel == "bare") == is_bare);
        mine.map(|message| {
            let received: Timestamp = message.received_at.parse().expect("a time");
            received
                .duration_since(posted[&message.text])
                .unsigned_abs()
        })
        .collect()
    };
    let (through, bare) = (took(false), took(true));
    let goal = "median ≤ 2 ms";
    row(
        &format!(
            "posted → received at 20/s over {DESTINATIONS} destinations, median of {}, p99",
            through.count()
        ),
        &format!("{}, {}", through.median(), through.p99()),
        goal,
    );
    row(
        "the same client to the mockup alone",
        &format!("{}, {}", bare.median(), bare.p99()),
        "",
    );
    let answered: Times = answered.into_iter().collect();
    row(
        "posted → answered 200, median, p99",
        &format!("{}, {}", answered.median(), answered.p99()),
        "",
    );
    server.stop();
}
