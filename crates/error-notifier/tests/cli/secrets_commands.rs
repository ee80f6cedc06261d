//! `secrets`, through a prepared server and on a data folder, and keys that are wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::fake_server::{Answer, FakeServer};
use crate::program::{Ended, program};

const KEY: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const OTHER: &str = "k1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// A command on the data folder.
fn offline(folder: &TempDir, arguments: &[&str]) -> Ended {
    let path = folder.path().join("data");
    let place = ["--offline", "--data-dir", path.to_str().unwrap()];
    program(&[arguments, &place].concat()).run()
}

/// A data folder that was used.
fn used() -> TempDir {
    let folder = TempDir::new().unwrap();
    let made = offline(&folder, &["token", "create", "ci", "--scope", "admin"]);
    assert_eq!(made.code, 0, "{made:?}");
    folder
}

fn key_file(folder: &TempDir) -> PathBuf {
    folder.path().join("data").join("secret-key")
}

fn write(path: &Path, keys: &str, mode: u32) {
    fs::write(path, keys).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_rotation_offline_replaces_the_key_in_the_folder() {
    let folder = used();
    let before = fs::read_to_string(key_file(&folder)).unwrap();
    let rotated = offline(&folder, &["secrets", "rotate"]);
    assert_eq!(rotated.code, 0, "{rotated:?}");
    assert_eq!(rotated.stdout, "sealed 0 with k2; dropped k1\n");
    let after = fs::read_to_string(key_file(&folder)).unwrap();
    assert!(before.contains("k1:") && !after.contains("k1:") && after.contains("k2:"));
    let mode = fs::metadata(key_file(&folder))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = offline(&folder, &["secrets", "rotate", "--keep-old", "--json"]);
    let kept: serde_json::Value = serde_json::from_str(&kept.stdout).unwrap();
    assert_eq!(kept, json!({"keyId": "k3", "resealed": 0, "dropped": []}));
    assert_eq!(offline(&folder, &["token", "list"]).code, 0);
}

#[test]
fn a_rotation_through_a_server_tells_what_it_answers() {
    let data = json!({"keyId": "k2", "resealed": 2, "dropped": ["k1"]});
    let server = FakeServer::start(vec![Answer::data(data)]);
    let ended = program(&["secrets", "rotate", "--url", &server.url]).run();
    assert_eq!(ended.stdout, "sealed 2 with k2; dropped k1\n", "{ended:?}");
    assert_eq!(
        server.requests()[0].line,
        "POST /v1/secrets/rotate?keepOld=false"
    );
}

#[test]
fn a_wrong_missing_open_or_malformed_key_is_one_line_and_code_2() {
    let folder = used();
    let file = folder.path().join("keys");
    let named = ["token", "list", "--secret-key-file", file.to_str().unwrap()];
    let missing = offline(&folder, &named);
    assert!(missing.one_line_and_code_2().contains("--secret-key-file"));
    write(&file, OTHER, 0o644);
    let open = offline(&folder, &named);
    assert!(open.one_line_and_code_2().contains("chmod 600"), "{open:?}");
    write(&file, OTHER, 0o600);
    let wrong = offline(&folder, &named);
    let line = wrong.one_line_and_code_2();
    assert!(
        line.contains("'k1'") && line.contains("--secret-key-file"),
        "{line}"
    );
    write(&file, "k1:hush!", 0o600);
    let malformed = offline(&folder, &named);
    let line = malformed.one_line_and_code_2();
    assert!(line.contains("line 1") && !line.contains("hush"), "{line}");
    write(&file, "# none\n", 0o600);
    let none = offline(&folder, &named);
    assert!(
        none.one_line_and_code_2().contains("there is no key"),
        "{none:?}"
    );
    fs::remove_file(key_file(&folder)).unwrap();
    let gone = offline(&folder, &["token", "list"]);
    assert!(gone.one_line_and_code_2().contains("missing"), "{gone:?}");
}

#[test]
fn a_key_in_the_environment_is_taken_and_shown_nowhere() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data");
    let place = ["--offline", "--data-dir", path.to_str().unwrap()];
    let create = ["token", "create", "ci", "--scope", "admin"];
    let made = program(&[&create[..], &place].concat())
        .env("ERROR_NOTIFIER_SECRET_KEYS", KEY)
        .run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!key_file(&folder).exists());
    let without = offline(&folder, &["token", "list"]);
    assert!(
        without.one_line_and_code_2().contains("missing"),
        "{without:?}"
    );
    let shown = program(&["serve", "--print-config"])
        .env("ERROR_NOTIFIER_SECRET_KEYS", KEY)
        .run();
    assert!(shown.stdout.contains("secret-keys"), "{shown:?}");
    assert!(!format!("{shown:?}").contains("AQEB"), "{shown:?}");
}

#[test]
fn over_postgresql_a_key_has_to_be_named() {
    let url = ["--database-url", "postgres://ann:hush@127.0.0.1:1/errors"];
    let plain = ["--kafka-brokers", "127.0.0.1:1", "--kafka-format", "plain"];
    for command in [
        [&["producer"][..], &url, &plain].concat(),
        [&["serve"][..], &url, &plain].concat(),
        [&["token", "list", "--offline"][..], &url].concat(),
    ] {
        let refused = program(&command).run();
        let line = refused.one_line_and_code_2();
        assert!(line.contains("--secret-key-file"), "{command:?}: {line}");
    }
}
