//! `user` and `group` against a prepared server.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake_server::{Answer, FakeServer, Request};
use crate::program::{Ended, program};

const ONE: &str = "11111111-1111-1111-1111-111111111111";
const TWO: &str = "22222222-2222-2222-2222-222222222222";

fn user(id: &str, name: &str) -> Value {
    json!({ "id": id, "name": name, "channelId": "C1", "tokenHint": "abcd" })
}

fn group(users: &Value) -> Value {
    json!({ "id": TWO, "name": "operators", "desc": "Who keeps it running", "users": users })
}

fn run(arguments: &[&str], answers: Vec<Answer>) -> (Ended, Vec<Request>) {
    let server = FakeServer::start(answers);
    let ended = program(arguments)
        .env("ERROR_NOTIFIER_URL", &server.url)
        .run();
    assert_eq!(ended.code, 0, "{ended:?}");
    (ended, server.requests())
}

#[test]
fn users_are_listed_page_after_page_in_columns_that_hangul_keeps_aligned() {
    let first = json!({ "items": [user(ONE, "장애알림")], "nextCursor": "n/2" });
    let second = Answer::items(json!([user(TWO, "user_name2")]));
    let (ended, requests) = run(
        &["user", "list", "--name", "장"],
        vec![Answer::data(first), second],
    );
    let id = " ".repeat(34);
    assert_eq!(
        ended.stdout,
        format!(
            "ID{id}  NAME        CHANNEL  TOKEN\n\
             {ONE}  장애알림    C1       …abcd\n\
             {TWO}  user_name2  C1       …abcd\n"
        )
    );
    assert_eq!(requests[0].line, "GET /v1/users?limit=1000&name=%EC%9E%A5");
    assert_eq!(
        requests[1].line,
        "GET /v1/users?limit=1000&name=%EC%9E%A5&cursor=n%2F2"
    );
}

#[test]
fn a_list_is_json_where_that_is_asked_for() {
    let (ended, _) = run(
        &["user", "list", "--json"],
        vec![Answer::items(json!([user(ONE, "a")]))],
    );
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed, json!([user(ONE, "a")]));
}

#[test]
fn a_user_is_shown_by_id() {
    let (ended, requests) = run(
        &["user", "show", ONE],
        vec![Answer::data(user(ONE, "user_name1"))],
    );
    assert!(ended.stdout.contains("user_name1"));
    assert_eq!(requests[0].line, format!("GET /v1/users/{ONE}"));
}

#[test]
fn a_user_is_found_by_exactly_its_name_with_or_without_its_sigil() {
    for name in ["@user_name1", "user_name1"] {
        let items = json!([user(TWO, "user_name10"), user(ONE, "user_name1")]);
        let (ended, _) = run(
            &["user", "show", name, "--json"],
            vec![Answer::items(items)],
        );
        assert!(ended.stdout.contains(ONE) && !ended.stdout.contains(TWO));
    }
}

#[test]
fn a_name_typed_decomposed_finds_the_composed_one() {
    let (_, requests) = run(
        &["user", "show", "\u{1112}\u{1161}\u{11ab}"],
        vec![Answer::items(json!([user(ONE, "한")]))],
    );
    assert_eq!(requests[0].line, "GET /v1/users?limit=1000&name=%ED%95%9C");
}

#[test]
fn a_name_that_nobody_has_is_code_1() {
    let server = FakeServer::start(vec![Answer::items(json!([user(ONE, "user_name10")]))]);
    let ended = program(&["user", "show", "user_name1", "--url", &server.url]).run();
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stderr, "error: there is no user named 'user_name1'\n");
}

#[test]
fn a_user_is_added_with_its_token_from_flag_file_or_standard_input() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "test_token\n").unwrap();
    let file = path.to_str().unwrap();
    for token in [
        ["--token", "test_token"],
        ["--token-file", file],
        ["--token", "-"],
    ] {
        let server = FakeServer::start(vec![Answer::data(user(ONE, "a"))]);
        let add = ["user", "add", "a", "--channel", "C1", "--url", &server.url];
        let ended = program(&[&add[..], &token].concat())
            .input(b"test_token\r\n")
            .run();
        assert_eq!(ended.stdout, format!("added user a ({ONE})\n"));
        let request = server.requests().remove(0);
        assert_eq!(request.line, "POST /v1/users");
        assert_eq!(
            request.json(),
            json!({ "name": "a", "token": "test_token", "channelId": "C1" })
        );
    }
}

#[test]
fn a_user_without_a_token_or_with_two_is_code_2() {
    let add = ["user", "add", "a", "--channel", "C1"];
    for tokens in [
        &[][..],
        &["--token", "-"],
        &["--token-file", "/no/token"],
        &["--token", "a", "--token-file", "b"],
    ] {
        let ended = program(&[&add[..], tokens].concat()).run();
        assert!(ended.one_line_and_code_2().contains("token"));
    }
}

#[test]
fn a_user_with_a_chosen_id_is_put_where_nothing_is() {
    let answers = vec![
        Answer::refusal(404, "The requested user does not exist."),
        Answer::data(user(ONE, "a")),
    ];
    let add = ["user", "add", "a", "--channel", "C1", "--token", "t"];
    let (_, requests) = run(&[&add[..], &["--id", ONE]].concat(), answers);
    assert_eq!(requests[1].line, format!("PUT /v1/users/{ONE}"));
}

#[test]
fn adding_under_an_id_that_is_taken_replaces_nobody() {
    let server = FakeServer::start(vec![Answer::data(user(ONE, "b"))]);
    let add = ["user", "add", "a", "--channel", "C1", "--token", "t"];
    let rest = ["--id", ONE, "--url", &server.url];
    let ended = program(&[&add[..], &rest].concat()).run();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("`user set` changes it"), "{ended:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_set_is_not_given_stays_and_so_does_the_token() {
    let answers = vec![
        Answer::items(json!([user(ONE, "a")])),
        Answer::data(user(ONE, "a")),
    ];
    let (ended, requests) = run(&["user", "set", "a", "--channel", "C9"], answers);
    assert_eq!(ended.stdout, format!("changed user a ({ONE})\n"));
    assert_eq!(requests[1].line, format!("PUT /v1/users/{ONE}"));
    assert_eq!(
        requests[1].json(),
        json!({ "name": "a", "channelId": "C9" })
    );
}

#[test]
fn set_without_anything_to_set_is_code_2() {
    for command in ["user", "group"] {
        let ended = program(&[command, "set", "a"]).run();
        assert!(ended.one_line_and_code_2().contains("nothing to change"));
    }
}

#[test]
fn a_user_is_removed_by_name() {
    let answers = vec![Answer::items(json!([user(ONE, "a")])), Answer::no_content()];
    let (ended, requests) = run(&["user", "remove", "@a"], answers);
    assert_eq!(ended.stdout, format!("removed user a ({ONE})\n"));
    assert_eq!(requests[1].line, format!("DELETE /v1/users/{ONE}"));
}

#[test]
fn a_trial_message_goes_to_the_one_user_with_low_severity() {
    let answers = vec![
        Answer::data(user(ONE, "a")),
        Answer::data(json!({ "userCount": 1, "alertId": "0192" })),
    ];
    let (ended, requests) = run(&["user", "test", ONE], answers);
    assert_eq!(
        ended.stdout,
        "a test message is on its way to a, channel C1 (alert 0192)\n"
    );
    assert_eq!(
        requests[1].json(),
        json!({ "target": ["@a"], "severity": "low", "message": "Test message from error-notifier" })
    );
}

#[test]
fn groups_are_listed_with_the_number_of_their_members() {
    let items = json!([group(&json!([{ "id": ONE, "name": "a" }]))]);
    let (ended, requests) = run(&["group", "list"], vec![Answer::items(items)]);
    assert!(
        ended
            .stdout
            .contains("operators  1        Who keeps it running\n")
    );
    assert_eq!(requests[0].line, "GET /v1/noti-groups?limit=1000");
}

#[test]
fn a_group_is_shown_with_its_members() {
    let found = group(&json!([{ "id": ONE, "name": "장애알림" }]));
    let (ended, _) = run(
        &["group", "show", "@@operators"],
        vec![Answer::items(json!([found]))],
    );
    assert!(
        ended
            .stdout
            .starts_with(&format!("operators ({TWO})\nWho keeps it running\n\n"))
    );
    assert!(ended.stdout.ends_with(&format!("{ONE}  장애알림\n")));
}

#[test]
fn a_group_is_added_by_name_and_description() {
    let add = [
        "group",
        "add",
        "operators",
        "--desc",
        "Who keeps it running",
    ];
    let (ended, requests) = run(&add, vec![Answer::data(group(&json!([])))]);
    assert_eq!(ended.stdout, format!("added group operators ({TWO})\n"));
    assert_eq!(requests[0].line, "POST /v1/noti-groups");
    assert_eq!(
        requests[0].json(),
        json!({ "name": "operators", "desc": "Who keeps it running" })
    );
}

#[test]
fn a_group_is_added_with_its_first_members_in_one_write() {
    let answers = vec![
        Answer::items(json!([user(ONE, "a")])),
        Answer::refusal(404, "The requested noti group does not exist."),
        Answer::data(group(&json!([]))),
    ];
    let add = [
        "group",
        "add",
        "operators",
        "--desc",
        "abcde",
        "--user",
        "a",
        "--id",
        TWO,
    ];
    let (_, requests) = run(&add, answers);
    assert_eq!(requests[2].line, format!("PUT /v1/noti-groups/{TWO}"));
    assert_eq!(requests[2].json()["users"], json!([ONE]));
}

#[test]
fn a_changed_group_keeps_its_members_unless_they_are_given() {
    let answers = vec![
        Answer::items(json!([group(&json!([]))])),
        Answer::data(group(&json!([]))),
    ];
    let (_, requests) = run(
        &["group", "set", "operators", "--desc", "Day shift"],
        answers,
    );
    assert_eq!(
        requests[1].json(),
        json!({ "name": "operators", "desc": "Day shift" })
    );
}

#[test]
fn subscribe_and_unsubscribe_post_both_ids() {
    for (command, printed) in [
        ("subscribe", "a is subscribed to operators\n"),
        ("unsubscribe", "a is unsubscribed from operators\n"),
    ] {
        let answers = vec![
            Answer::items(json!([group(&json!([]))])),
            Answer::items(json!([user(ONE, "a")])),
            Answer::no_content(),
        ];
        let (ended, requests) = run(&["group", command, "operators", "a"], answers);
        assert_eq!(ended.stdout, printed);
        assert_eq!(requests[2].line, format!("POST /v1/noti-groups/{command}"));
        assert_eq!(
            requests[2].json(),
            json!({ "notiGroupId": TWO, "userId": ONE })
        );
    }
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let (ended, _) = run(
        &["user", "list"],
        vec![Answer::items(json!([user(ONE, "a\u{1b}[2J")]))],
    );
    assert!(!ended.stdout.contains('\u{1b}'));
}

fn destination() -> Value {
    json!({ "id": TWO, "kind": "webhook", "address": "https://example.org/hook",
        "credentialHint": "LaSw", "order": 1 })
}

#[test]
fn a_users_destinations_are_listed_in_columns() {
    let found = json!({ "destinations": [destination()] });
    let answers = vec![Answer::data(user(ONE, "ann")), Answer::data(found)];
    let (ended, requests) = run(&["user", "destination", "list", ONE], answers);
    let id = " ".repeat(34);
    assert_eq!(
        ended.stdout,
        format!(
            "ORDER  ID{id}  KIND     ADDRESS                   CREDENTIAL\n\
             1      {TWO}  webhook  https://example.org/hook  …LaSw\n"
        )
    );
    assert_eq!(
        requests[1].line,
        format!("GET /v1/users/{ONE}/destinations")
    );
}

#[test]
fn a_destination_is_added_with_its_credential_from_flag_or_standard_input() {
    for credential in ["whsec_secret", "-"] {
        let server = FakeServer::start(vec![
            Answer::data(user(ONE, "ann")),
            Answer::data(destination()),
        ]);
        let add = [
            "user",
            "destination",
            "add",
            ONE,
            "--kind",
            "webhook",
            "--address",
            "https://example.org/hook",
            "--order",
            "1",
            "--credential",
            credential,
        ];
        let ended = program(&add)
            .env("ERROR_NOTIFIER_URL", &server.url)
            .input(b"whsec_secret\n")
            .run();
        assert_eq!(
            ended.stdout,
            format!("added webhook https://example.org/hook ({TWO})\n")
        );
        let request = server.requests().remove(1);
        assert_eq!(request.line, format!("POST /v1/users/{ONE}/destinations"));
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body).unwrap(),
            json!({ "kind": "webhook", "address": "https://example.org/hook",
                "credential": "whsec_secret", "order": 1 })
        );
    }
}

#[test]
fn a_destination_without_a_credential_is_bad_input() {
    let ended = program(&[
        "user",
        "destination",
        "add",
        "ann",
        "--kind",
        "slack",
        "--address",
        "C1",
    ])
    .run();
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.stderr,
        "error: a new destination needs a credential: give --credential or --credential-file\n"
    );
}

#[test]
fn a_destination_is_removed_by_its_id() {
    let answers = vec![
        Answer::data(user(ONE, "ann")),
        Answer::data(destination()),
        Answer::data(Value::Null),
    ];
    let (ended, requests) = run(&["user", "destination", "remove", ONE, TWO], answers);
    assert_eq!(
        ended.stdout,
        format!("removed webhook https://example.org/hook ({TWO})\n")
    );
    assert_eq!(
        requests[2].line,
        format!("DELETE /v1/users/{ONE}/destinations/{TWO}")
    );
}
