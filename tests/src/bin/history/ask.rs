//! How long the history takes to answer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tests::{
    figures::row,
    harness::{Connection, Server},
};

use crate::{USERS, fill::Span};

/// Questions of each kind.
const QUESTIONS: usize = 200;
/// Of a question within a time.
const WINDOW_MS: i64 = 60 * 60 * 1000;

pub(crate) fn measure(server: &Server, span: Span) {
    let mut connection = Connection::open(server.address()).expect("a server");
    let mut rng = StdRng::seed_from_u64(11);
    let ids = ids(&mut connection, &mut rng, span);
    ask(&mut connection, "`GET /v1/alerts/{id}`", |_| {
        format!("/v1/alerts/{}", ids[rng.random_range(0..ids.len())])
    });
    let mut rng = StdRng::seed_from_u64(13);
    let mut window = move || window(&mut rng, span);
    ask(&mut connection, "first page: all", |_| "/v1/alerts".into());
    for severity in ["high", "low"] {
        ask(
            &mut connection,
            &format!("first page: severity={severity}"),
            |_| format!("/v1/alerts?severity={severity}"),
        );
    }
    ask(
        &mut connection,
        "first page: since and until, an hour",
        |_| format!("/v1/alerts?{}", window()),
    );
    ask(
        &mut connection,
        "first page: severity=high within an hour",
        |_| format!("/v1/alerts?severity=high&{}", window()),
    );
    ask(
        &mut connection,
        "first page: until, a time long ago",
        |_| {
            let window = window();
            let (_, until) = window.split_once('&').unwrap_or_default();
            format!("/v1/alerts?{until}")
        },
    );
    ask(&mut connection, "first page: user", |number| {
        format!("/v1/alerts?user=user{}", number * 7 % USERS + 1)
    });
    ask(&mut connection, "first page: group", |number| {
        format!("/v1/alerts?group=group{}", number % 20 + 1)
    });
    for state in [
        "queued",
        "waiting",
        "delivered",
        "digested",
        "dead",
        "cancelled",
    ] {
        ask(
            &mut connection,
            &format!("first page: state={state}"),
            |_| format!("/v1/alerts?state={state}"),
        );
    }
    ask(
        &mut connection,
        "first page: q within an hour, found in 1 of 977",
        |number| format!("/v1/alerts?q=node{}%20down&{}", number % 977, window()),
    );
    ask(
        &mut connection,
        "first page: q within an hour, found nowhere",
        |_| format!("/v1/alerts?q=no%20such%20text&{}", window()),
    );
    ask(&mut connection, "dead letters", |_| {
        "/v1/dead-letters".into()
    });
    ask(
        &mut connection,
        "dead letters: reason, found nowhere",
        |_| "/v1/dead-letters?reason=no_such_reason".into(),
    );
    ask(&mut connection, "dead letters: channel and since", |_| {
        let window = window();
        let (since, _) = window.split_once('&').unwrap_or_default();
        format!("/v1/dead-letters?channel=slack&{since}")
    });
}

/// Ids of alerts from all over the time.
fn ids(connection: &mut Connection, rng: &mut StdRng, span: Span) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..QUESTIONS {
        let path = format!("/v1/alerts?limit=3&{}", window(rng, span));
        let answer = connection
            .request("GET", &path, &[], b"")
            .expect("an answer");
        let answer = answer.json();
        let items = answer["data"]["items"].as_array().into_iter().flatten();
        ids.extend(items.filter_map(|item| item["id"].as_str().map(str::to_owned)));
    }
    assert!(!ids.is_empty(), "no alerts were found");
    ids
}

fn window(rng: &mut StdRng, span: Span) -> String {
    let since = rng.random_range(span.first..span.last - WINDOW_MS);
    format!("since={}&until={}", time(since), time(since + WINDOW_MS))
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).expect("a time").to_string()
}

fn ask(connection: &mut Connection, what: &str, mut path: impl FnMut(usize) -> String) {
    let mut times: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        let path = path(number);
        let begun = Instant::now();
        let answer = connection
            .request("GET", &path, &[], b"")
            .expect("an answer");
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    times.sort_unstable();
    let ms = |place: usize| times[place].as_secs_f64() * 1000.0;
    let figure = format!(
        "{:.1}, {:.1} ms",
        ms(QUESTIONS / 2),
        ms(QUESTIONS * 99 / 100)
    );
    row(
        &format!("{what}: median, p99 of {QUESTIONS}"),
        &figure,
        "p99 ≤ 50 ms",
    );
}
