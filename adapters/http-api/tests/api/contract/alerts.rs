//! Alerts.

use serde_json::{Value, json};

use super::case::{Case, alert, alert_case};
use crate::support::{Api, ONE, TWO, request};

const SEVERITY: &str = "Severity should be one of the following values: high, normal, low.";

fn to(says: &'static str, target: Value, users: usize, unknown: Value) -> Case {
    alert_case(says, alert(target, json!("low"), json!("node1 down")), 200)
        .gives(json!({"userCount": users, "unknownTargets": unknown}))
}

#[tokio::test]
async fn targets_are_counted_as_the_contract_says() {
    let cases = [
        to("`@all` means every user", json!(["@all"]), 2, json!([])),
        to(
            "`@all` anywhere in `target`",
            json!(["@nobody", "@all"]),
            2,
            json!(["@nobody"]),
        ),
        to(
            "the README's alert",
            json!(["@all", "@user_name1"]),
            2,
            json!([]),
        ),
        to("`@name` is a user", json!(["@user_name2"]), 1, json!([])),
        to(
            "`@@name` is a group",
            json!(["@@group_name1"]),
            1,
            json!([]),
        ),
        to(
            "reached in several ways, counted once",
            json!(["@user_name1", "@@group_name1", "@user_name1"]),
            1,
            json!([]),
        ),
        to(
            "a name that nobody has counts nobody",
            json!(["@nobody", "@@nobody"]),
            0,
            json!(["@nobody", "@@nobody"]),
        ),
        to(
            "names are compared with case",
            json!(["@User_name1"]),
            0,
            json!(["@User_name1"]),
        ),
        to(
            "what has no `@` matches nobody",
            json!(["user_name1"]),
            0,
            json!(["user_name1"]),
        ),
        to(
            "a group without members",
            json!(["@@group_name2"]),
            0,
            json!(["@@group_name2"]),
        ),
    ];
    for case in cases {
        case.hold().await;
    }
}

#[tokio::test]
async fn severities_are_taken_in_any_letter_case() {
    for severity in ["high", "HIGH", "Normal", "loW"] {
        let body = alert(json!(["@all"]), json!(severity), json!("m"));
        alert_case("severity in any letter case", body, 200)
            .hold()
            .await;
    }
}

#[tokio::test]
async fn alerts_without_what_they_need_are_400() {
    let all = || json!(["@all"]);
    let (low, m) = (json!("low"), json!("m"));
    let without = |field: &str| {
        let mut body = alert(json!(["@all"]), json!("low"), json!("m"));
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let cases = [
        alert_case("missing target", without("target"), 400).informs("target must be given."),
        alert_case("missing severity", without("severity"), 400).informs("severity must be given."),
        alert_case("missing message", without("message"), 400).informs("message must be given."),
        alert_case(
            "null target",
            alert(Value::Null, low.clone(), m.clone()),
            400,
        )
        .informs("target must be given."),
        alert_case("null severity", alert(all(), Value::Null, m.clone()), 400)
            .informs("severity must be given."),
        alert_case("null message", alert(all(), low.clone(), Value::Null), 400)
            .informs("message must be given."),
        alert_case(
            "empty target",
            alert(json!([]), low.clone(), m.clone()),
            400,
        )
        .informs("target must name at least one target."),
        alert_case("empty severity", alert(all(), json!(""), m.clone()), 400)
            .informs("severity must be given."),
        alert_case("empty message", alert(all(), low.clone(), json!("")), 400)
            .informs("message must not be empty."),
        alert_case(
            "unknown severity",
            alert(all(), json!("urgent"), m.clone()),
            400,
        )
        .informs(SEVERITY),
        alert_case(
            "message over 40,000 characters",
            alert(all(), low.clone(), json!("가".repeat(40_001))),
            400,
        )
        .informs("message must have at most 40000 characters."),
        alert_case(
            "message of 40,000 characters",
            alert(all(), low.clone(), json!("가".repeat(40_000))),
            200,
        ),
        alert_case(
            "more than 10,000 targets",
            alert(json!(vec!["@a"; 10_001]), low.clone(), m.clone()),
            400,
        )
        .informs("target must name at most 10000 targets."),
        alert_case(
            "10,000 targets",
            alert(json!(vec!["@user_name1"; 10_000]), low, m),
            200,
        )
        .gives(json!({"userCount": 1, "unknownTargets": []})),
    ];
    for case in cases {
        case.hold().await;
    }
}

#[tokio::test]
async fn an_alert_is_accepted_as_it_was_sent_under_its_id_and_the_requests() {
    let api = Api::new();
    let body = r#"{"target":["@all"],"severity":"NORMAL","message":"node1 <b>\"down\"</b> \u00e9\n가","x":1}"#;
    let request = request("POST", "/v1/alerts")
        .header("content-type", "application/json; charset=utf-8")
        .header("x-global-transaction-id", "gtid-1");
    let answer = api.send(request.body(body.into()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-global-transaction-id"), Some("gtid-1"));
    let id = answer.data()["alertId"].as_str().unwrap().to_owned();
    let accepted = api.queue.accepted();
    assert_eq!(accepted.len(), 1);
    let alert = &accepted[0].alert;
    assert_eq!(alert.id.to_string(), id);
    assert_eq!(alert.id.0.get_version_num(), 7);
    assert_eq!(alert.gtid.as_str(), "gtid-1");
    assert_eq!(alert.text(), "[normal] node1 <b>\"down\"</b> é\n가");
    assert_eq!(accepted[0].user_count(), 2);
}

#[tokio::test]
async fn an_alert_that_reaches_nobody_is_accepted_all_the_same() {
    let api = Api::new();
    let body = alert(json!(["@nobody"]), json!("low"), json!("m"));
    let answer = api.alert(body.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.data()["userCount"].as_u64()),
        (200, Some(0))
    );
    assert_eq!(api.queue.accepted().len(), 1);
}

#[tokio::test]
async fn a_dry_run_answers_who_would_be_told_and_by_which_target_and_sends_nothing() {
    let api = Api::new();
    let body = alert(
        json!(["@@group_name1", "@all", "@x"]),
        json!("low"),
        json!("m"),
    )
    .to_string();
    let answer = api
        .json("POST", "/v1/alerts?dryRun=true", body.clone())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.data()["userCount"], 2);
    assert_eq!(answer.data()["unknownTargets"], json!(["@x"]));
    let recipients = answer.data()["recipients"].clone();
    let recipients = recipients.as_array().unwrap();
    assert_eq!(recipients.len(), 2);
    assert!(
        recipients.contains(&json!({"id": ONE, "name": "user_name1", "target": "@@group_name1"}))
    );
    assert!(recipients.contains(&json!({"id": TWO, "name": "user_name2", "target": "@all"})));
    assert!(api.queue.accepted().is_empty());
    let answer = api
        .json("POST", "/v1/alerts?dryRun=false", body.clone())
        .await;
    assert!(answer.data()["alertId"].is_string());
    let answer = api.json("POST", "/v1/alerts?dryRun=perhaps", body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.more_information(), "dryRun must be true or false.");
    assert_eq!(api.queue.accepted().len(), 1);
}
