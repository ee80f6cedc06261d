//! What holds for every request: its body, its ids, its transaction id.

use serde_json::{Value, json};

use super::case::{UNREADABLE, alert_case, case};
use crate::support::{Api, ONE, request};

#[tokio::test]
async fn bodies_that_cannot_be_read_are_400() {
    let deep = format!(
        r#"{{"target":["@all"],"severity":"low","message":"m","x":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let deep_target = format!(
        r#"{{"target":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let bodies = [
        ("not JSON", "not JSON".to_owned()),
        ("no body at all", String::new()),
        ("half of it", r#"{"target":["@all"]"#.to_owned()),
        ("something after it", r#"{} {}"#.to_owned()),
        ("a list for an object", "[]".to_owned()),
        (
            "a string for a list",
            r#"{"target":"@all","severity":"low","message":"m"}"#.to_owned(),
        ),
        (
            "a number for a string",
            r#"{"target":["@all"],"severity":1,"message":"m"}"#.to_owned(),
        ),
        (
            "a number among the targets",
            r#"{"target":[1],"severity":"low","message":"m"}"#.to_owned(),
        ),
        (
            "null among the targets",
            r#"{"target":[null],"severity":"low","message":"m"}"#.to_owned(),
        ),
        (
            "an object for a string",
            r#"{"target":["@all"],"severity":"low","message":{}}"#.to_owned(),
        ),
        (
            "a field twice",
            r#"{"target":["@all"],"severity":"low","message":"m","message":"n"}"#.to_owned(),
        ),
        (
            "half a surrogate pair",
            r#"{"target":["@all"],"severity":"low","message":"\ud800"}"#.to_owned(),
        ),
        ("nesting 10,000 deep in a field that is passed over", deep),
        ("nesting 10,000 deep in a field that is read", deep_target),
    ];
    for (says, body) in bodies {
        alert_case(says, Value::Null, 400)
            .raw(body)
            .informs(UNREADABLE)
            .hold()
            .await;
    }
}

#[tokio::test]
async fn invalid_utf_8_is_400_wherever_it_stands() {
    let api = Api::new();
    for body in [
        &b"{\"target\":[\"@all\"],\"severity\":\"low\",\"message\":\"\xff\"}"[..],
        b"{\"target\":[\"@all\"],\"severity\":\"low\",\"message\":\"m\",\"x\":\"\xc3\x28\"}",
        b"\xfe\xff",
    ] {
        let answer = api.alert(body.to_vec()).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.more_information(), UNREADABLE);
    }
    assert!(api.queue.accepted().is_empty());
}

#[tokio::test]
async fn malformed_ids_are_400() {
    let pair = |group: &str, user: &str| json!({"notiGroupId": group, "userId": user});
    for id in [
        "1",
        "11111111111111111111111111111111",
        "{11111111-1111-1111-1111-111111111111}",
        "11111111-1111-1111-1111-11111111111g",
        "%FF",
        "x",
    ] {
        for path in ["/v1/users", "/v1/noti-groups"] {
            let path = format!("{path}/{id}");
            let body = json!({"name": "a_name", "desc": "a_desc", "token": "t", "channelId": "c"});
            for method in ["GET", "PUT", "DELETE"] {
                case(
                    "malformed UUID in the path",
                    method,
                    &path,
                    body.clone(),
                    400,
                )
                .informs(UNREADABLE)
                .hold()
                .await;
            }
        }
        let subscription = "/v1/noti-groups/subscribe";
        case(
            "malformed group id",
            "POST",
            subscription,
            pair(id, ONE),
            400,
        )
        .informs(UNREADABLE)
        .hold()
        .await;
        case(
            "malformed user id",
            "POST",
            subscription,
            pair(ONE, id),
            400,
        )
        .informs(UNREADABLE)
        .hold()
        .await;
        let unsubscription = "/v1/noti-groups/unsubscribe";
        for method in ["DELETE", "POST"] {
            case("malformed id", method, unsubscription, pair(id, ONE), 400)
                .informs(UNREADABLE)
                .hold()
                .await;
        }
    }
    case(
        "a number for an id",
        "POST",
        "/v1/noti-groups/subscribe",
        json!({"notiGroupId": 1, "userId": ONE}),
        400,
    )
    .informs(UNREADABLE)
    .hold()
    .await;
    let path = format!("/v1/noti-groups/{ONE}");
    let body = json!({"name": "a_name", "desc": "a_desc", "users": ["1"]});
    case("malformed id of a member", "PUT", &path, body, 400)
        .informs(UNREADABLE)
        .hold()
        .await;
}

#[tokio::test]
async fn every_answer_carries_the_callers_transaction_id_or_a_new_one() {
    let api = Api::new();
    let longest = "a".repeat(128);
    for taken in ["A-1_b.c", longest.as_str()] {
        let request = request("GET", "/nowhere").header("x-global-transaction-id", taken);
        let answer = api.send(request.body("".into()).unwrap()).await;
        assert_eq!(answer.header("x-global-transaction-id"), Some(taken));
    }
    let too_long = "a".repeat(129);
    for refused in ["a b", "", "a/b", too_long.as_str()] {
        let request = request("GET", "/nowhere").header("x-global-transaction-id", refused);
        let answer = api.send(request.body("".into()).unwrap()).await;
        let made = answer.header("x-global-transaction-id").unwrap();
        assert!(uuid::Uuid::parse_str(made).is_ok(), "{made}");
    }
}
