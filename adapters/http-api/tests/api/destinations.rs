//! How destinations stand.

use std::sync::Arc;

use common::{
    ChannelKind, CredentialId, Destination, DestinationId, UtcMillis,
    status::{
        BreakerOf, BreakerState, BreakerStatus, DestinationState, DestinationStatus, PaceStatus,
        StatusFilter, StatusPage, TroubleStatus,
    },
};

use serde_json::{Value, json};

use crate::support::{Answer, Api};

const AT: UtcMillis = UtcMillis(1_795_420_800_000);

/// A destination that was told to wait.
fn limited() -> DestinationStatus {
    let place = Destination::new(ChannelKind::SLACK, "", "C1");
    DestinationStatus {
        id: place.id,
        destination: Some(Arc::new(place)),
        host: Some("slack".into()),
        state: DestinationState::RetryAfter,
        until: Some(UtcMillis(AT.0 + 30_000)),
        waiting: [0, 2, 1],
        parked: [40, 0, 0],
        in_flight: 0,
        folding: true,
        pace: Some(PaceStatus {
            per_second: 1.0 / 3.0,
            usual: 1.0,
        }),
        trouble: Some(TroubleStatus {
            failures: 1,
            since: Some(AT),
            error: "rate_limited".into(),
        }),
    }
}

/// A lane that sleeps, of which nothing but the id is known.
fn asleep(id: u64) -> DestinationStatus {
    DestinationStatus {
        id: DestinationId(id),
        destination: None,
        host: None,
        state: DestinationState::Parked,
        until: None,
        waiting: [0; 3],
        parked: [0, 7, 0],
        in_flight: 0,
        folding: false,
        pace: None,
        trouble: None,
    }
}

fn breaker(of: BreakerOf, state: BreakerState) -> BreakerStatus {
    BreakerStatus {
        of,
        state,
        since: Some(AT),
        probe_at: Some(UtcMillis(AT.0 + 5_000)),
        failures: 3,
        error: "HTTP 503".into(),
        waiting: 6,
        slowed_to: None,
    }
}

async fn shown(page: StatusPage) -> Answer {
    let api = Api::new();
    api.destinations.answer_with(page);
    let answer = api.get("/v1/destinations").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[tokio::test]
async fn a_page_shows_destinations_and_breakers_in_this_form() {
    let slowed = BreakerStatus {
        since: None,
        probe_at: None,
        failures: 0,
        error: "".into(),
        slowed_to: Some(2.0),
        ..breaker(
            BreakerOf::Credential(CredentialId(17)),
            BreakerState::Closed,
        )
    };
    let answer = shown(StatusPage {
        destinations: vec![limited(), asleep(7)],
        next: None,
        breakers: vec![
            breaker(
                BreakerOf::Host("webhook https://example.org".into()),
                BreakerState::Open,
            ),
            slowed,
        ],
        more_breakers: false,
    })
    .await;
    let none = json!({"high": 0, "normal": 0, "low": 0});
    let id = limited().id.0.to_string();
    let data = answer.data();
    assert_eq!(
        data["items"][0],
        json!({
            "id": id, "channel": "slack", "address": "C1", "host": "slack",
            "state": "retry_after", "until": "2026-11-23T08:00:30Z",
            "waiting": {"high": 1, "normal": 2, "low": 0},
            "parked": {"high": 0, "normal": 0, "low": 40},
            "inFlight": 0, "folding": true, "pace": {"perSecond": 0.333, "usual": 1.0},
            "failures": 1, "failingSince": "2026-11-23T08:00:00Z", "error": "rate_limited",
        })
    );
    assert_eq!(
        data["items"][1],
        json!({
            "id": "7", "state": "parked", "waiting": none,
            "parked": {"high": 0, "normal": 7, "low": 0},
            "inFlight": 0, "folding": false, "failures": 0,
        })
    );
    assert_eq!(
        data["breakers"],
        json!([
            {"kind": "host", "name": "webhook https://example.org", "state": "open",
                "since": "2026-11-23T08:00:00Z", "nextProbeAt": "2026-11-23T08:00:05Z",
                "failures": 3, "error": "HTTP 503", "waiting": 6},
            {"kind": "credential", "name": "17", "state": "closed", "failures": 0,
                "waiting": 6, "slowedTo": 2.0},
        ])
    );
    assert_eq!(
        (&data["nextCursor"], &data["moreBreakers"]),
        (&Value::Null, &json!(false))
    );
}

#[tokio::test]
async fn a_webhook_is_shown_as_its_users_destination_is_and_a_line_for_warnings_says_so() {
    let hook = Destination::new(ChannelKind::WEBHOOK, "https://example.org", "/hook?a=b");
    let status = DestinationStatus {
        id: hook.id.for_warnings(),
        destination: Some(Arc::new(hook.for_warnings())),
        host: Some("webhook https://example.org".into()),
        ..asleep(1)
    };
    let page = StatusPage {
        destinations: vec![status],
        ..StatusPage::default()
    };
    let item = shown(page).await.data()["items"][0].clone();
    assert_eq!(item["address"], "https://example.org/hook?a=b");
    assert_eq!(item["channel"], "webhook");
    assert_eq!(item["forWarnings"], true);
}

#[tokio::test]
async fn what_a_service_said_is_shown_without_what_looks_like_a_token() {
    let mut status = limited();
    if let Some(trouble) = &mut status.trouble {
        trouble.error = "bad token xoxb-1234-abcd".into();
    }
    let page = StatusPage {
        destinations: vec![status],
        ..StatusPage::default()
    };
    let answer = shown(page).await;
    assert!(!answer.text().contains("xoxb-1234"), "{}", answer.text());
}

#[tokio::test]
async fn filters_limit_and_cursor_are_asked_for_as_they_were_given() {
    let api = Api::new();
    api.destinations.answer_with(StatusPage {
        destinations: vec![asleep(7)],
        next: Some(DestinationId(7)),
        ..StatusPage::default()
    });
    let first = api
        .get("/v1/destinations?state=retry_after&channel=slack&limit=1")
        .await;
    let filter = StatusFilter {
        state: Some(DestinationState::RetryAfter),
        channel: Some(ChannelKind::SLACK),
    };
    assert_eq!(api.destinations.asked(), (filter, None, 1));
    let cursor = first.data()["nextCursor"].clone();
    let cursor = cursor.as_str().unwrap();
    api.destinations.answer_with(StatusPage::default());
    let last = api.get(&format!("/v1/destinations?cursor={cursor}")).await;
    let expected = (StatusFilter::default(), Some(DestinationId(7)), 100);
    assert_eq!(api.destinations.asked(), expected);
    assert!(last.data()["nextCursor"].is_null());
}

#[tokio::test]
async fn a_parameter_that_is_not_allowed_is_400_naming_it() {
    let api = Api::new();
    for (query, field) in [
        ("state=dead", "state"),
        ("state=", "state"),
        ("channel=", "channel"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=elsewhere", "cursor"),
        ("cursor=AWEAAAAAAAAABw", "cursor"),
    ] {
        let answer = api.get(&format!("/v1/destinations?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.envelope()["errors"][0]["field"], field, "{query}");
    }
}

#[tokio::test]
async fn where_nobody_delivers_that_is_said_with_503() {
    let answer = Api::new().get("/v1/destinations").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.envelope()["errorCode"], "NOT_DELIVERING");
    assert!(answer.header("retry-after").is_some());
}
