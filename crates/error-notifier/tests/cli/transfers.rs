//! `directory export` and `directory import` against a prepared server, and what
//! reads the data folder itself.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tempfile::TempDir;

use crate::fake_server::{Answer, FakeServer};
use crate::program::program;

const LINES: &str = "{\"type\":\"user\"}\n{\"type\":\"group\"}\n";

fn imported() -> Answer {
    Answer::data(json!({
        "usersCreated": 2, "usersUpdated": 1, "usersUnchanged": 7,
        "groupsCreated": 3, "groupsUpdated": 0, "groupsUnchanged": 9,
    }))
}

#[test]
fn an_export_is_printed_as_it_came() {
    let answer = Answer::body(200, "application/x-ndjson", LINES.as_bytes());
    let server = FakeServer::start(vec![answer]);
    let ended = program(&["directory", "export", "--url", &server.url]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, LINES));
    assert_eq!(server.requests()[0].line, "GET /v1/directory");
}

#[test]
fn an_export_with_secrets_reads_the_data_folder_while_a_server_uses_it() {
    let data = DataFolder::with_one_user();
    let export = ["directory", "export", "--with-secrets", "--data-dir"];
    let ended = program(&[&export[..], &[&data.path()]].concat()).run();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.contains("\"token\":\"test_token1\""),
        "{ended:?}"
    );
}

#[test]
fn an_export_that_ends_too_early_is_code_1() {
    let answer = Answer::body(200, "application/x-ndjson", LINES.as_bytes()).cut_short(5);
    let server = FakeServer::start(vec![answer]);
    let ended = program(&["directory", "export", "--url", &server.url]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("before the whole answer came"),
        "{ended:?}"
    );
}

#[test]
fn an_import_sends_the_file_or_standard_input_and_prints_what_it_did() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("directory.jsonl");
    std::fs::write(&path, LINES).unwrap();
    for file in [path.to_str().unwrap(), "-"] {
        let server = FakeServer::start(vec![imported()]);
        let ended = program(&["directory", "import", file, "--url", &server.url])
            .input(LINES.as_bytes())
            .run();
        assert_eq!(
            ended.stdout,
            "imported\nusers: 2 created, 1 updated, 7 unchanged\n\
             groups: 3 created, 0 updated, 9 unchanged\n"
        );
        let request = server.requests().remove(0);
        assert_eq!(request.line, "POST /v1/directory?dryRun=false");
        assert_eq!(request.headers["content-type"], "application/x-ndjson");
        assert_eq!(request.body, LINES.as_bytes());
    }
}

#[test]
fn a_dry_run_says_that_nothing_was_changed() {
    let server = FakeServer::start(vec![imported()]);
    let import = [
        "directory",
        "import",
        "-",
        "--dry-run",
        "--url",
        &server.url,
    ];
    let ended = program(&import).run();
    assert!(ended.stdout.starts_with("would be imported\n"));
    assert_eq!(server.requests()[0].line, "POST /v1/directory?dryRun=true");
}

#[test]
fn what_is_wrong_with_an_import_is_told_line_by_line() {
    let envelope = json!({
        "httpCode": 400, "httpMessage": "Bad Request", "moreInformation": "Nothing was imported.",
        "errors": [
            { "line": 7, "message": "no such user" },
            { "line": 9, "field": "name", "message": "too long" },
        ],
    });
    let server = FakeServer::start(vec![Answer::envelope(400, envelope)]);
    let ended = program(&["directory", "import", "-", "--url", &server.url]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert_eq!(
        ended.stderr,
        "line 7: no such user\nline 9: name: too long\n\
         error: Nothing was imported. (400 Bad Request)\n"
    );
}

#[test]
fn an_import_file_that_cannot_be_read_is_code_2() {
    let ended = program(&["directory", "import", "/does/not/exist"]).run();
    assert!(ended.one_line_and_code_2().contains("/does/not/exist"));
}

/// A data folder in use by this process.
struct DataFolder {
    folder: TempDir,
    store: sqlite::Store,
}

impl DataFolder {
    fn with_one_user() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = sqlite::Settings {
            path: folder.path().join("data"),
            retention: std::time::Duration::from_secs(60),
            history_max_bytes: 1 << 30,
            synchronous: sqlite::Synchronous::Full,
            secret_key: None,
            scrub_large: false,
        };
        let clock = std::sync::Arc::new(common::SystemClock::start());
        let store = sqlite::Store::open(settings, clock).unwrap();
        let line = concat!(
            r#"{"type":"user","id":"11111111-1111-1111-1111-111111111111","#,
            r#""name":"user_name1","token":"test_token1","channelId":"test_channel_id1"}"#,
        );
        let import = producer::application::transfer::import(
            store.directory.as_ref(),
            line,
            producer::ports::Mode::Commit,
            &producer::domain::Caller::LOCAL,
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(import).unwrap();
        Self { folder, store }
    }

    fn path(&self) -> String {
        let path = self.folder.path().join("data");
        path.to_str().unwrap().to_owned()
    }

    fn backup(&self, flags: &[&str]) -> crate::program::Ended {
        let file = self.folder.path().join("copy.db");
        let path = self.path();
        let backup = ["backup", file.to_str().unwrap(), "--data-dir", &path];
        program(&[&backup[..], flags].concat()).run()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let names = entries.map(|e| name(e).into_string().unwrap());
        names.filter(|name| name != "data").collect()
    }
}

#[test]
fn a_backup_is_a_whole_data_folder_but_for_its_key_and_its_owners_alone() {
    let data = DataFolder::with_one_user();
    let ended = data.backup(&[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(data.files(), ["copy.db"]);
    let copy = data.folder.path().join("copy.db");
    assert_eq!(
        std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let restored = data.folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::rename(&copy, restored.join("error-notifier.db")).unwrap();
    let without = sqlite::read_directory(&restored, None).unwrap_err();
    assert!(without.to_string().contains("secret-key"), "{without}");
    let key = data.folder.path().join("data").join("secret-key");
    std::fs::copy(key, restored.join("secret-key")).unwrap();
    let directory = sqlite::read_directory(&restored, None).unwrap();
    assert_eq!(directory.user_count(), 1);
    data.store.close();
}

#[test]
fn a_backup_replaces_a_file_only_by_force() {
    let data = DataFolder::with_one_user();
    let path = data.folder.path().join("copy.db");
    std::fs::write(&path, "older").unwrap();
    let refused = data.backup(&[]);
    assert!(refused.one_line_and_code_2().contains("--force"));
    assert_eq!(std::fs::read(&path).unwrap(), b"older");
    assert_eq!(data.backup(&["--force"]).code, 0);
    assert!(
        std::fs::read(&path)
            .unwrap()
            .starts_with(b"SQLite format 3")
    );
}

#[test]
fn a_backup_of_no_data_folder_is_one_line_and_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy.db");
    let none = folder.path().join("none");
    let backup = [
        "backup",
        file.to_str().unwrap(),
        "--data-dir",
        none.to_str().unwrap(),
    ];
    let ended = program(&backup).run();
    assert!(ended.one_line_and_code_2().contains("none"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
