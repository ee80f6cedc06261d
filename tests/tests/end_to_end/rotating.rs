//! The key of stored tokens is rotated while alerts go on, and cut off by `kill -9`.

use std::{fs, path::Path, thread};

use serde_json::json;
use tests::harness::{LONG, Site, command, program, request, until};

const USERS: usize = 4_000;

/// The ids of the keys in the file of the data folder, the first one first.
fn keys(data: &Path) -> Vec<String> {
    let text = fs::read_to_string(data.join("secret-key")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let ids = lines.filter_map(|line| line.split_once(':'));
    ids.map(|(id, _)| id.to_owned()).collect()
}

/// Asserts that an alert to all reaches each with their own token.
fn assert_all_are_told(site: &Site) {
    site.mockup.forget();
    site.accepted(&["@all"], "high", "after a rotation");
    let messages = site.mockup.wait_for(USERS);
    for message in &messages {
        let token = site.directory.token(&message.channel);
        assert_eq!(Some(message.token.as_str()), token, "{}", message.channel);
    }
}

#[test]
fn a_rotation_goes_on_beside_alerts_and_after_kill_9() {
    let mut site = Site::new(USERS);
    let data = site.server.options.data().to_owned();
    assert_eq!(keys(&data), ["k1"]);
    for _ in 0..4 {
        let before = keys(&data);
        let address = site.server.address();
        let rotating = thread::spawn(move || request(address, "POST", "/v1/secrets/rotate", b""));
        // It has begun, or gone on with the last one, and goes as far as it comes until its
        // process is killed.
        until("other keys in the file", || keys(&data) != before);
        site.accepted(&["@user1"], "high", "meanwhile");
        site.server.process.kill();
        // Answered or cut off: both may be.
        let _ = rotating.join().unwrap();
        site.start_again();
        assert_all_are_told(&site);
        site.server.drain(LONG);
    }
    let answer = site.server.request("POST", "/v1/secrets/rotate", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let now = keys(&data);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_eq!(answer.json()["data"]["keyId"], json!(now[0]));
    assert_all_are_told(&site);
}

#[test]
fn the_command_rotates_through_a_running_server() {
    let site = Site::new(2);
    let url = format!("http://{}", site.server.address());
    let output = command(program().as_os_str())
        .args(["secrets", "rotate", "--url", &url])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed, "sealed 2 with k2; dropped k1\n", "{output:?}");
    let log = site.server.request("GET", "/v1/audit", "").json();
    assert_eq!(log["data"]["items"][0]["action"], "secrets.rotated");
}
