//! The whole directory out and in.

use producer::ports::{DirectoryStore, StoreError};
use serde_json::{Value, json};

use crate::support::{Api, NOBODY, ONE, TWO, request};

fn user_line(id: &str, name: &str, token: Option<&str>) -> String {
    let mut line = json!({"type": "user", "id": id, "name": name, "channelId": "c"});
    if let Some(token) = token {
        line["token"] = token.into();
    }
    format!("{line}\n")
}

#[tokio::test]
async fn an_export_is_json_lines_without_tokens() {
    let api = Api::new();
    let answer = api.get("/v1/directory").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[0],
        json!({"type": "user", "id": ONE, "name": "user_name1", "channelId": "test_channel_id1"})
    );
    assert_eq!(
        lines[2],
        json!({"type": "group", "id": ONE, "name": "group_name1", "desc": "test_desc1", "users": [ONE]})
    );
    for secrets in [
        "",
        "?withSecrets=true",
        "?with-secrets=true",
        "?secrets=true",
    ] {
        let answer = api.get(&format!("/v1/directory{secrets}")).await;
        assert!(!answer.text().contains("test_token"));
    }
}

#[tokio::test]
async fn an_export_of_many_is_sent_in_chunks_and_whole() {
    let api = Api::new();
    api.store.add_users(5000);
    let answer = api.get("/v1/directory").await;
    assert!(answer.header("content-length").is_none());
    assert_eq!(answer.text().lines().count(), 5004);
}

#[tokio::test]
async fn what_was_exported_can_be_imported_and_changes_nothing() {
    let api = Api::new();
    let lines = api.get("/v1/directory").await.text().to_owned();
    let answer = api.import("/v1/directory", lines).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.data(),
        json!({"usersCreated": 0, "usersUpdated": 0, "usersUnchanged": 2,
            "groupsCreated": 0, "groupsUpdated": 0, "groupsUnchanged": 2})
    );
}

#[tokio::test]
async fn an_import_counts_what_it_did_and_a_dry_run_what_it_would() {
    let api = Api::new();
    let lines = user_line(NOBODY, "ann", Some("t")) + &user_line(ONE, "renamed", None);
    for (path, left) in [
        ("/v1/directory?dryRun=true", 2),
        ("/v1/directory?dryRun=false", 3),
    ] {
        let answer = api.import(path, lines.clone()).await;
        assert_eq!(answer.data()["usersCreated"], 1);
        assert_eq!(answer.data()["usersUpdated"], 1);
        assert_eq!(api.store.snapshot().user_count(), left);
    }
    let answer = api.import("/v1/directory?dryRun=x", lines).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn an_import_with_wrong_lines_is_400_line_by_line_and_changes_nothing() {
    let api = Api::new();
    let lines = user_line(NOBODY, "ann", Some("t"))
        + "{\"token\":\"my-secret\"\n\n"
        + &user_line("1", "ben", Some("t"));
    let answer = api.import("/v1/directory", lines).await;
    assert_eq!(answer.status, 400);
    let envelope = answer.envelope();
    assert_eq!(envelope["errorCode"], "INVALID_LINES");
    assert_eq!(envelope["errors"][0]["line"], 2);
    assert_eq!(envelope["errors"][1]["line"], 4);
    assert!(envelope["errors"][0]["message"].is_string());
    assert!(!answer.text().contains("my-secret"));
    assert_eq!(api.store.snapshot().user_count(), 2);
}

#[tokio::test]
async fn an_import_that_the_directorys_rules_forbid_is_400_with_the_line() {
    let api = Api::new();
    let lines = user_line(NOBODY, "user_name1", Some("t"));
    let answer = api.import("/v1/directory", lines).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.envelope()["errors"],
        json!([{"line": 1, "message": "User name already exists."}])
    );
}

#[tokio::test]
async fn an_import_must_be_said_to_be_json_lines_and_be_utf_8() {
    let api = Api::new();
    for (content_type, status) in [
        ("application/x-ndjson", 200),
        ("application/json-lines", 200),
        ("application/json", 415),
        ("text/plain", 415),
    ] {
        let request = request("POST", "/v1/directory").header("content-type", content_type);
        let answer = api.send(request.body("".into()).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type}");
    }
    let answer = api.import("/v1/directory", b"\xff".to_vec()).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn more_than_1_mib_and_up_to_64_can_be_imported() {
    let api = Api::new();
    let blank = |length: usize| " ".repeat(length - 1) + "\n";
    assert_eq!(
        api.import("/v1/directory", blank(64 << 20)).await.status,
        200
    );
    let answer = api.import("/v1/directory", blank((64 << 20) + 1)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.more_information(),
        "The body must have at most 67108864 bytes."
    );
}

#[tokio::test]
async fn a_second_import_at_the_same_time_is_503() {
    let api = Api::new();
    api.store.close();
    let line = user_line(TWO, "renamed", None);
    let first = api.import("/v1/directory", line.clone());
    let second = async {
        loop {
            let answer = api.import("/v1/directory?dryRun=true", line.clone()).await;
            if answer.status == 503 {
                api.store.open();
                return answer;
            }
        }
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status, 200);
    assert_eq!(second.envelope()["errorCode"], "IMPORT_UNDER_WAY");
    assert!(second.header("retry-after").is_some());
}

#[tokio::test]
async fn an_import_into_a_directory_that_cannot_be_written_is_503() {
    let api = Api::new();
    api.store
        .fail_with(StoreError::Unwritable("disk full".into()));
    let answer = api
        .import("/v1/directory", user_line(TWO, "renamed", None))
        .await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.envelope()["errorCode"], "DIRECTORY_UNWRITABLE");
}
