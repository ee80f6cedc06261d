//! How long the history takes to answer.

use std::time::{Duration, Instant};

use common::{DestinationId, Severity, UserId, UtcMillis};
use postgres::PostgresHistory;
use producer::ports::{
    AlertFilter, ControlStore, DeadLetterFilter, DeliveryState, EventId, History, Selection,
};

use crate::{
    USERS,
    fill::{Filling, user_id},
    row,
};

/// Questions of each kind.
const QUESTIONS: usize = 100;
/// Of a question within a time.
const WINDOW_MS: i64 = 60 * 60 * 1000;

pub(crate) async fn measure(history: &PostgresHistory, filling: &Filling) {
    let id = |number: usize| filling.ids[number * 37 % filling.ids.len()];
    ask("an alert by its id", async |number| {
        let found = history.alert(id(number).0, 0, 1_000).await;
        assert!(found.expect("an answer").is_some());
    })
    .await;
    ask("a delivery by its id", async |number| {
        let found = history.delivery(id(number).1).await;
        assert!(found.expect("an answer").is_some());
    })
    .await;
    let window = |number: usize| {
        let since = filling.first_at + number as i64 * WINDOW_MS;
        (Some(UtcMillis(since)), Some(UtcMillis(since + WINDOW_MS)))
    };
    let all = AlertFilter::default;
    let page = async |what: &str, filter: &dyn Fn(usize) -> AlertFilter| {
        ask(&format!("first page: {what}"), async |number| {
            let page = history.alerts(filter(number), None, 100).await;
            page.expect("an answer");
        })
        .await;
    };
    page("all", &|_| all()).await;
    for severity in [Severity::High, Severity::Low] {
        page(severity.as_str(), &|_| AlertFilter {
            severity: Some(severity),
            ..all()
        })
        .await;
    }
    page("within an hour", &|number| AlertFilter {
        since: window(number).0,
        until: window(number).1,
        ..all()
    })
    .await;
    page("high within an hour", &|number| AlertFilter {
        severity: Some(Severity::High),
        since: window(number).0,
        until: window(number).1,
        ..all()
    })
    .await;
    page("until long ago", &|number| AlertFilter {
        until: window(number).1,
        ..all()
    })
    .await;
    page("of a user", &|number| AlertFilter {
        user: Some(UserId(user_id(number as u64 * 7 % USERS))),
        ..all()
    })
    .await;
    page("of a target", &|number| AlertFilter {
        target: Some(format!("@user{}", number as u64 * 7 % USERS).into()),
        ..all()
    })
    .await;
    for state in DeliveryState::ALL {
        page(state.as_str(), &|_| AlertFilter {
            state: Some(state),
            ..all()
        })
        .await;
    }
    page("a text within an hour, in 1 of 977", &|number| {
        AlertFilter {
            text: Some(format!("node{} down", number % 977).into()),
            since: window(number).0,
            until: window(number).1,
            ..all()
        }
    })
    .await;
    page("a text that is nowhere", &|_| AlertFilter {
        text: Some("no such text".into()),
        ..all()
    })
    .await;
    let dead = async |what: &str, filter: DeadLetterFilter| {
        ask(&format!("dead letters: {what}"), async |_| {
            let page = history.dead_letters(filter.clone(), None, 100).await;
            page.expect("an answer");
        })
        .await;
    };
    dead("all", DeadLetterFilter::default()).await;
    dead(
        "a reason that is nowhere",
        DeadLetterFilter {
            reason: Some("no_such_reason".into()),
            ..DeadLetterFilter::default()
        },
    )
    .await;
    dead(
        "of a channel, since",
        DeadLetterFilter {
            channel: Some("slack".into()),
            since: window(70).0,
            ..DeadLetterFilter::default()
        },
    )
    .await;
    ask("what went to a place within an hour", async |number| {
        let (since, until) = window(number);
        let selection = Selection::Destination {
            destination: DestinationId::of("slack", "", &format!("C{:08}", number % 1_000)),
            since: since.expect("a time"),
            until: until.expect("a time"),
        };
        let found = history.selected(selection, None, 100).await;
        found.expect("an answer");
    })
    .await;
    let end = history.now();
    ask("256 events of long ago", async |number| {
        let after = EventId::end_of(end.commit.saturating_sub(400 - number as u64));
        let events = history.events(after, 256).await.expect("an answer");
        assert!(!events.items.is_empty());
    })
    .await;
}

async fn ask(what: &str, question: impl AsyncFn(usize)) {
    let mut times: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        let begun = Instant::now();
        question(number).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let ms = |place: usize| times[place].as_secs_f64() * 1000.0;
    let figure = format!(
        "{:.1}, {:.1} ms",
        ms(QUESTIONS / 2),
        ms(QUESTIONS * 99 / 100)
    );
    row(&format!("{what}: median, p99 of {QUESTIONS}"), &figure);
}
