//! The README's quick start.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tests::harness::{
    Answer, LONG, Process, Scratch, command, free_address, program, request, until, wait_for,
};

/// The body that the README's `curl` posts.
fn readme_body() -> String {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let line = page
        .lines()
        .find(|line| line.starts_with("curl -i localhost:8080/v1/alerts"));
    let (_, body) = line
        .expect("the README posts an alert")
        .split_once(" -d '")
        .unwrap();
    body.trim_end_matches('\'').to_owned()
}

#[test]
fn the_readmes_line_reaches_both_channels_and_the_terminal_shows_it() {
    let scratch = Scratch::new("demo");
    let (api, mockup) = (free_address(), free_address());
    let mut demo = command(program());
    demo.args([
        "demo",
        "--listen",
        &api.to_string(),
        "--mockup-listen",
        &mockup.to_string(),
    ]);
    let mut demo = Process::start(&mut demo, &scratch.join("output"));
    let mut ask = |method, path: &str, body: &str| -> Answer {
        let address = if path.starts_with("/_mock") {
            mockup
        } else {
            api
        };
        wait_for("the demo", LONG, || {
            assert!(demo.is_running(), "{}", demo.output());
            request(address, method, path, body.as_bytes()).ok()
        })
    };

    let answer = ask("POST", "/v1/alerts", &readme_body());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"]["userCount"], 2);

    let shown = |message: &Value| json!([message["channel"], message["text"]]);
    let messages = wait_for("both messages", LONG, || {
        let messages = ask("GET", "/_mock/messages", "").json();
        let messages = messages.as_array().unwrap();
        (messages.len() == 2).then(|| messages.iter().map(shown).collect::<Vec<_>>())
    });
    for channel in ["test_channel_id1", "test_channel_id2"] {
        assert!(
            messages.contains(&json!([channel, "[low] node1 down"])),
            "{messages:?}"
        );
    }
    until("the terminal to show both", || {
        let output = demo.output();
        ["test_channel_id1", "test_channel_id2"]
            .iter()
            .all(|channel| {
                output
                    .lines()
                    .any(|line| line.contains(channel) && line.contains("[low] node1 down"))
            })
    });
    let banner = demo.output();
    assert!(
        banner.contains(&format!("http://{api}/swagger-ui/index.html")),
        "{banner}"
    );

    demo.terminate();
    assert_eq!(demo.wait(LONG).code(), Some(0), "{}", demo.output());
}
