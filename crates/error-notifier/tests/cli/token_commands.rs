//! `token`, through a prepared server and on a data folder, and calls made with a token.

use serde_json::json;
use tempfile::TempDir;

use crate::fake_server::{Answer, FakeServer};
use crate::program::{Ended, program};

/// The `token` command on a data folder.
fn offline(folder: &TempDir, arguments: &[&str]) -> Ended {
    let path = folder.path().join("data");
    let place = ["--offline", "--data-dir", path.to_str().unwrap()];
    program(&[&["token"], arguments, &place].concat()).run()
}

/// The token among what was printed.
fn token(ended: &Ended) -> &str {
    let mut lines = ended.stdout.lines();
    lines.find(|line| line.starts_with("en_")).unwrap()
}

#[test]
fn a_first_token_is_made_in_a_folder_that_is_not_there_yet() {
    let folder = TempDir::new().unwrap();
    let made = offline(&folder, &["create", "admin", "--scope", "admin"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(token(&made).len(), 51);
    assert!(made.stderr.contains("never again"), "{made:?}");
    let listed = offline(&folder, &["list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let row = listed.stdout.lines().nth(1).unwrap();
    assert!(
        row.starts_with("admin  admin") && row.contains("in use"),
        "{row}"
    );
    assert!(!listed.stdout.contains(token(&made)));
}

#[test]
fn a_token_is_revoked_by_its_name_and_the_name_is_free() {
    let folder = TempDir::new().unwrap();
    let create = [
        "create",
        "ci",
        "--scope",
        "alerts:write",
        "--expires-in",
        "90d",
    ];
    assert_eq!(offline(&folder, &create).code, 0);
    let again = offline(&folder, &create);
    assert_eq!(
        again.one_line_and_code_2(),
        "error: API token name already exists."
    );
    assert_eq!(offline(&folder, &["revoke", "ci"]).code, 0);
    let unknown = offline(&folder, &["revoke", "ci"]);
    assert!(unknown.one_line_and_code_2().contains("does not exist"));
    assert_eq!(offline(&folder, &create).code, 0);
    let listed = offline(&folder, &["list", "--json"]);
    let tokens: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let revoked = tokens.as_array().unwrap().iter();
    let revoked = revoked.filter(|token| token["revokedAt"].is_string());
    assert_eq!(revoked.count(), 1, "{tokens}");
}

#[test]
fn a_first_token_without_admin_is_made_offline_and_what_it_cannot_do_is_said() {
    let folder = TempDir::new().unwrap();
    let said = "No API token has admin";
    let made = offline(&folder, &["create", "ci", "--scope", "alerts:write"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains(said), "{made:?}");
    let made = offline(&folder, &["create", "admin", "--scope", "admin"]);
    assert!(!made.stderr.contains(said), "{made:?}");
    let made = offline(&folder, &["create", "other", "--scope", "alerts:write"]);
    assert!(!made.stderr.contains(said), "{made:?}");
}

#[test]
fn what_no_token_can_be_is_said_in_one_line() {
    let folder = TempDir::new().unwrap();
    for (arguments, said) in [
        (
            &["create", "", "--scope", "admin"][..],
            "1 to 60 characters",
        ),
        (
            &[
                "create",
                "a",
                "--scope",
                "alerts:write",
                "--group",
                "group_name1",
            ],
            "there is no group named",
        ),
    ] {
        let ended = offline(&folder, arguments);
        assert!(ended.one_line_and_code_2().contains(said), "{ended:?}");
    }
}

#[test]
fn a_token_is_made_through_a_server_which_is_asked_for_the_groups() {
    let group = json!({"id": "1111", "name": "group_name1", "desc": "test_desc1"});
    let made = json!({"id": "7777", "name": "ci", "token": "en_secret"});
    let server = FakeServer::start(vec![Answer::items(json!([group])), Answer::data(made)]);
    let create = ["token", "create", "ci", "--scope", "alerts:write"];
    let group = ["--group", "group_name1", "--url", &server.url];
    let ended = program(&[&create[..], &group].concat()).run();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout, "made ci (7777)\nen_secret\n");
    let requests = server.requests();
    assert_eq!(requests[1].line, "POST /v1/tokens");
    assert_eq!(
        requests[1].json(),
        json!({"name": "ci", "scopes": ["alerts:write"], "notiGroupIds": ["1111"]})
    );
}

#[test]
fn a_token_is_revoked_through_a_server_by_the_name_of_one_that_is_in_use() {
    let token = |id: &str, name: &str| json!({"id": id, "name": name});
    let mut old = token("1", "ci");
    old["revokedAt"] = json!("2026-11-23T08:00:00Z");
    let page = Answer::items(json!([old, token("2", "ci"), token("3", "ci2")]));
    let server = FakeServer::start(vec![page, Answer::no_content()]);
    let ended = program(&["token", "revoke", "ci", "--url", &server.url]).run();
    assert_eq!((ended.code, &*ended.stdout), (0, "revoked 2\n"));
    let lines: Vec<_> = server.requests().into_iter().map(|one| one.line).collect();
    assert_eq!(lines[1], "DELETE /v1/tokens/2");
}

/// A whole token, and the folder that has it in a file.
fn whole() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let made = offline(&folder, &["create", "ci", "--scope", "admin"]);
    let token = token(&made).to_owned();
    std::fs::write(folder.path().join("token"), format!("{token}\n")).unwrap();
    (folder, token)
}

#[test]
fn calls_carry_the_token_of_the_environment_the_flag_or_a_file() {
    let (folder, token) = whole();
    let file = folder.path().join("token");
    let file = file.to_str().unwrap();
    let flags: [(&[&str], Option<&str>); 3] = [
        (&[], Some(&token)),
        (&["--api-token", &token], None),
        (&["--api-token-file", file], None),
    ];
    for (flags, variable) in flags {
        let server = FakeServer::start(vec![Answer::items(json!([]))]);
        let list = ["user", "list", "--url", &server.url];
        let mut program = program(&[&list[..], flags].concat());
        if let Some(token) = variable {
            program = program.env("ERROR_NOTIFIER_API_TOKEN", token);
        }
        let ended = program.run();
        assert_eq!(ended.code, 0, "{ended:?}");
        let sent = &server.requests()[0].headers["authorization"];
        assert_eq!(*sent, format!("Bearer {token}"));
    }
}

#[test]
fn a_token_that_is_not_whole_is_refused_without_a_call_and_without_showing_it() {
    let (_folder, token) = whole();
    let cut = &token[..50];
    for wrong in [cut, "", "secret"] {
        let ended = program(&["user", "list", "--url", "http://127.0.0.1:1"])
            .env("ERROR_NOTIFIER_API_TOKEN", wrong)
            .run();
        let line = ended.one_line_and_code_2();
        assert!(line.contains("51 characters"), "{line}");
        assert!(wrong.is_empty() || !line.contains(wrong), "{line}");
    }
    let missing = program(&["user", "list", "--api-token-file", "/nowhere/token"]).run();
    assert!(missing.one_line_and_code_2().contains("/nowhere/token"));
}
