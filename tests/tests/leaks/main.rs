//! No token is ever shown: not in a log, however full, not in an answer, not on
//! a command line. The mockup's list of messages alone has them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod client;

use std::fs;

use client::Client;
use serde_json::json;
use tests::{
    harness::{Directory, LONG, Site},
    search::Search,
};

const USER: &str = "/v1/users/aaaaaaaa-0000-0000-0000-000000000001";

#[test]
fn no_token_is_in_any_log_answer_output_or_command_line() {
    let mut search = Search::default();
    let mut directory = Directory::of_users(2);
    for user in &mut directory.users {
        user.token = search.secret("imported");
    }
    let full = |options: tests::harness::ServerOptions| {
        options
            .with("--log-http", "full")
            .with("--log-level", "trace")
            .with("--ops-target", "@user2")
    };
    let mut site = Site::with(directory, full);
    let shown = {
        let mut client = Client::of(&site);
        keep_users(&mut client, &mut search);
        send_alerts(&mut client, &mut search);
        make_mistakes(&mut client, &mut search);
        use_the_command_line(&mut client, &mut search);
        look_at_everything(&mut client);
        client.shown
    };
    // A restart reads them all from the disk.
    site.server.process.kill();
    let before = site.server.process.output();
    site.start_again();
    assert_eq!(
        site.server
            .alert(&["@all"], "low", "after the restart")
            .status,
        200
    );
    site.server.drain(LONG);

    let id = site.server.process.id();
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap();
    site.server.process.terminate();
    site.server.process.wait(LONG);

    for (place, text) in [
        ("the log", &before),
        ("the log after the restart", &site.server.process.output()),
        ("the mockup's log", &site.mockup.process.output()),
        (
            "the command line",
            &String::from_utf8_lossy(&line).into_owned(),
        ),
    ] {
        assert_eq!(search.found_in(text), [""; 0], "in {place}");
    }
    for answer in &shown {
        assert_eq!(search.found_in(answer), [""; 0], "in {answer}");
    }
    // Where they may be they are, so they were used and can be found.
    let messages = site.mockup.messages();
    let used: String = messages
        .iter()
        .map(|message| message.token.as_str())
        .collect();
    assert!(
        search.found_in(&used).len() >= 4,
        "too few tokens were in use"
    );
    let warnings: String = messages
        .iter()
        .filter(|message| message.text.starts_with("[high] telling people failed:"))
        .map(|message| message.text.as_str())
        .collect();
    assert!(!warnings.is_empty(), "nobody was warned of what died");
    assert_eq!(search.found_in(&warnings), [""; 0], "in {warnings}");
    let requests = before
        .lines()
        .filter(|line| line.contains("request_headers"));
    assert!(requests.count() > 30, "the full log is not on");
}

fn keep_users(client: &mut Client<'_>, search: &mut Search) {
    let user =
        |name: &str, token: String| json!({ "name": name, "token": token, "channelId": "CX" });
    assert_eq!(
        client.json(
            "POST",
            "/v1/users",
            &user("posted", search.secret("posted"))
        ),
        201
    );
    assert_eq!(
        client.json("PUT", USER, &user("put", search.secret("put"))),
        201
    );
    assert_eq!(
        client.json("PUT", USER, &user("put", search.secret("rotated"))),
        200
    );
    assert_eq!(
        client.json("PUT", USER, &json!({ "name": "put", "channelId": "CY" })),
        200
    );
    assert_eq!(
        client.json(
            "POST",
            "/v1/users",
            &user("put", search.secret("conflicting"))
        ),
        409
    );
    let group = json!({ "name": "group-of-leaks", "desc": "who leaks nothing" });
    assert_eq!(client.json("POST", "/v1/noti-groups", &group), 201);
    assert_eq!(client.json("POST", "/v1/noti-groups", &group), 409);

    let line = json!({ "type": "user", "id": "bbbbbbbb-0000-0000-0000-000000000001", "name": "in-lines",
        "token": search.secret("line"), "channelId": "CZ" });
    let lines = [("Content-Type", "application/x-ndjson")];
    assert_eq!(
        client.ask(
            "POST",
            "/v1/directory?dryRun=true",
            &lines,
            line.to_string().as_bytes()
        ),
        200
    );
    assert_eq!(
        client.ask("POST", "/v1/directory", &lines, line.to_string().as_bytes()),
        200
    );
}

fn send_alerts(client: &mut Client<'_>, search: &mut Search) {
    let alert = json!({ "target": ["@all"], "severity": "high", "message": "well" });
    assert_eq!(client.json("POST", "/v1/alerts", &alert), 200);
    assert_eq!(client.json("POST", "/v1/alerts?dryRun=true", &alert), 200);
    client.site.server.drain(LONG);

    // Every way in which Slack may refuse, and one that repeats the token.
    let token = &client.site.directory.users[0].token;
    for faults in [
        json!({ "error": "invalid_auth" }),
        json!({ "error": token }),
        json!({ "error": token, "status": 403 }),
        json!({ "error": "unheard_of", "channels": { "C1": { "status": 502 } } }),
        json!({ "status": 429, "retryAfter": 1 }),
        json!({ "down": true }),
        json!({ "loseAnswerRate": 1.0 }),
    ] {
        let before = client.site.mockup.stats();
        client.site.mockup.set_faults(&faults);
        assert_eq!(client.json("POST", "/v1/alerts", &alert), 200);
        client
            .site
            .wait_for_failures(before.failed + before.rate_limited + 1);
        assert_eq!(client.ask("GET", "/v1/destinations", &[], b""), 200);
        client.site.mockup.set_faults(&json!({}));
        client.site.server.drain(LONG);
    }
    // A token in a text is delivered, and not logged.
    let text = json!({ "target": ["@user1"], "severity": "low", "message": search.slack_token() });
    assert_eq!(client.json("POST", "/v1/alerts", &text), 200);
}

fn make_mistakes(client: &mut Client<'_>, search: &mut Search) {
    // The token itself is wrong.
    for token in [
        json!([search.secret("array")]),
        json!({ "of": search.secret("object") }),
        json!(format!("{}\u{7}", search.secret("control"))),
        json!(format!(" {}", search.secret("space"))),
        json!(search.secret("long").repeat(100)),
    ] {
        let body = json!({ "name": "wrong", "token": token, "channelId": "C" });
        assert_eq!(client.json("POST", "/v1/users", &body), 400, "{body}");
    }
    // Something else is wrong, and a token is near.
    let body = |rest: &str, search: &mut Search| {
        format!("{{\"token\":{},{rest}", json!(search.secret("near")))
    };
    for rest in [
        r#""name":"wrong","channelId":"C""#,
        r#""name":7,"channelId":"C"}"#,
        r#""name":"all","channelId":"C"}"#,
        r#""name":"wrong"}"#,
        r#""name":"wrong","channelId":"C"} trailing"#,
        "nonsense}",
    ] {
        let body = body(rest, search);
        assert_eq!(
            client.ask("POST", "/v1/users", &[], body.as_bytes()),
            400,
            "{body}"
        );
    }
    let mut invalid = body(r#""name":"wrong","channelId":""#, search).into_bytes();
    invalid.extend_from_slice(b"\xff\"}");
    assert_eq!(client.ask("POST", "/v1/users", &[], &invalid), 400);
    let whole = body(r#""name":"wrong","channelId":"C"}"#, search);
    assert_eq!(
        client.ask(
            "POST",
            "/v1/users",
            &[("Content-Type", "text/plain")],
            whole.as_bytes()
        ),
        415
    );
    let whole = body(r#""name":"wrong","channelId":"C"}"#, search);
    assert_eq!(
        client.ask("PUT", "/v1/users/not-an-id", &[], whole.as_bytes()),
        400
    );
    let whole = body(r#""name":"wrong","channelId":"C"}"#, search);
    assert_eq!(client.ask("PATCH", USER, &[], whole.as_bytes()), 405);
    let whole = body(r#""name":"wrong","channelId":"C"}"#, search);
    assert_eq!(
        client.ask("POST", "/v1/nowhere", &[], whole.as_bytes()),
        404
    );
    let large = format!(
        "{{\"token\":{},\"name\":\"{}\"}}",
        json!(search.secret("large")),
        "x".repeat(2 << 20)
    );
    assert_eq!(client.ask("POST", "/v1/users", &[], large.as_bytes()), 413);

    // Lines of an import.
    let lines = [("Content-Type", "application/x-ndjson")];
    for rest in [
        r#""type":"user","id":"1","name":"n","channelId":"C"}"#,
        r#""type":"user","id":"cccccccc-0000-0000-0000-000000000001","name":"all","channelId":"C"}"#,
        r#""type":"user","unknown":1}"#,
        r#""type":"user","#,
        r#""type":"group","id":"cccccccc-0000-0000-0000-000000000001","name":"group","desc":"desc5"}"#,
    ] {
        let line = body(rest, search);
        assert_eq!(
            client.ask("POST", "/v1/directory", &lines, line.as_bytes()),
            400,
            "{line}"
        );
    }

    // Where no token belongs, but people put them.
    let alert = json!({ "target": ["@user1"], "severity": "low", "message": "m", "apiKey": search.secret("field"),
        "password": search.secret("field"), "nested": { "client_secret": search.secret("field") } });
    assert_eq!(client.json("POST", "/v1/alerts", &alert), 200);
    let query = format!("/v1/users?token={}", search.percent_encoded_secret("query"));
    client.ask("GET", &query, &[], b"");
    client.ask(
        "GET",
        &format!("/v1/users?name={}", search.slack_token()),
        &[],
        b"",
    );
    client.ask(
        "GET",
        &format!("/v1/users/{}", search.slack_token()),
        &[],
        b"",
    );
    client.ask(
        "GET",
        &format!("/v1/alerts?dryRun={}", search.slack_token()),
        &[],
        b"",
    );
    let bearer = format!("Bearer {}", search.secret("authorization"));
    client.ask("GET", "/v1/users", &[("Authorization", &bearer)], b"");
    let basic = format!("Basic {}", search.in_base64("basic"));
    client.ask("GET", "/v1/users", &[("Authorization", &basic)], b"");
    for header in ["Cookie", "X-Api-Key", "X-Auth-Token", "Proxy-Authorization"] {
        client.ask(
            "GET",
            "/v1/users",
            &[(header, &search.secret("header"))],
            b"",
        );
    }
    for header in ["X-Anything", "User-Agent", "Referer"] {
        client.ask("GET", "/v1/users", &[(header, &search.slack_token())], b"");
    }
    client.raw(
        format!(
            "GET / HTTP/1.1\r\nAuthorization: {}\r\nbroken\r\n\r\n",
            search.secret("raw")
        )
        .as_bytes(),
    );
    client.raw(
        format!(
            "GET /v1/users?token={} HTTP/9\r\n\r\n",
            search.percent_encoded_secret("raw")
        )
        .as_bytes(),
    );
    client.raw(format!("POST /v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"token\":\"{}", search.secret("half")).as_bytes());
}

fn use_the_command_line(client: &mut Client<'_>, search: &mut Search) {
    let file = client.site.scratch.join("token");
    let path = file.to_str().unwrap().to_owned();
    let write = |search: &mut Search, place: &str| fs::write(&file, search.secret(place)).unwrap();
    write(search, "file");
    assert!(client.run(&[
        "user",
        "add",
        "from-file",
        "--channel",
        "CF",
        "--token-file",
        &path
    ]));
    assert!(!client.run(&[
        "user",
        "add",
        "from-file",
        "--channel",
        "CF",
        "--token-file",
        &path
    ]));
    write(search, "file");
    assert!(client.run(&["user", "set", "from-file", "--token-file", &path, "--json"]));
    for arguments in [
        &["user", "list"][..],
        &["user", "list", "--json"],
        &["user", "show", "from-file"],
        &["user", "test", "from-file"],
        &["group", "list"],
        &["directory", "export"],
        &["destination", "list"],
        &["send", "-t", "@from-file", "text"],
    ] {
        assert!(client.run(arguments), "{arguments:?}");
    }
    // A bad line of an import is named by its number, not repeated.
    fs::write(
        &path,
        format!(
            "{{\"type\":\"user\",\"token\":{}",
            json!(search.secret("import"))
        ),
    )
    .unwrap();
    assert!(!client.run(&["directory", "import", &path]));
    fs::write(
        &path,
        json!({ "type": "user", "token": search.secret("import") }).to_string(),
    )
    .unwrap();
    assert!(!client.run(&["directory", "import", &path]));
}

fn look_at_everything(client: &mut Client<'_>) {
    for path in [
        "/v1/users",
        USER,
        "/v1/noti-groups",
        "/v1/directory",
        "/v1/destinations",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/v3/api-docs",
        "/swagger-ui/index.html",
        "/swagger-ui/swagger-initializer.js",
    ] {
        assert_eq!(client.ask("GET", path, &[], b""), 200, "{path}");
    }
    client.site.server.drain(LONG);
    assert_eq!(client.ask("DELETE", USER, &[], b""), 204);
}
