//! Flag before environment before file before default; what is wrong is one line.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::program::{Ended, program};

struct ConfigFile {
    folder: TempDir,
}

impl ConfigFile {
    fn of(text: &str) -> Self {
        let file = Self {
            folder: TempDir::new().unwrap(),
        };
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("en.toml")
    }

    fn serve(&self, arguments: &[&str]) -> crate::program::Program {
        let path = self.path();
        let config = ["serve", "--config", path.to_str().unwrap()];
        program(&[&config, arguments].concat())
    }
}

fn line_of<'a>(ended: &'a Ended, key: &str) -> &'a str {
    assert_eq!(ended.code, 0, "{ended:?}");
    let start = format!("{key} = ");
    let found = ended.stdout.lines().find(|line| line.starts_with(&start));
    found.unwrap_or_else(|| panic!("no {key} in {ended:?}"))
}

#[test]
fn the_flag_comes_before_the_environment_before_the_file_before_the_default() {
    let file = ConfigFile::of("slack-burst = 7\n");
    let path = file.path().display().to_string();
    let key = "slack-burst";

    let default = program(&["serve", "--print-config"]).run();
    assert_eq!(line_of(&default, key), "slack-burst = \"4\"  # default");

    let from_file = file.serve(&["--print-config"]).run();
    let expected = format!("slack-burst = \"7\"  # {path}");
    assert_eq!(line_of(&from_file, key), expected);

    let environment = file
        .serve(&["--print-config"])
        .env("ERROR_NOTIFIER_SLACK_BURST", "8")
        .run();
    assert_eq!(
        line_of(&environment, key),
        "slack-burst = \"8\"  # environment"
    );

    let flag = file
        .serve(&["--print-config", "--slack-burst", "9"])
        .env("ERROR_NOTIFIER_SLACK_BURST", "8")
        .run();
    assert_eq!(line_of(&flag, key), "slack-burst = \"9\"  # command line");
}

#[test]
fn the_environment_may_name_the_file() {
    let file = ConfigFile::of("data-dir = \"/srv/en\"\n");
    let ended = program(&["serve", "--print-config"])
        .env("ERROR_NOTIFIER_CONFIG", file.path().to_str().unwrap())
        .run();
    assert!(line_of(&ended, "data-dir").starts_with("data-dir = \"/srv/en\""));
}

#[test]
fn every_key_of_every_server_may_stand_in_the_file() {
    for command in ["serve", "demo", "mockup"] {
        let printed = program(&[command, "--print-config"]).run();
        // What is printed is itself a file; what is not set is a comment in it.
        let file = ConfigFile::of(&printed.stdout.replace("  # default", ""));
        let path = file.path();
        let again = program(&[
            command,
            "--config",
            path.to_str().unwrap(),
            "--print-config",
        ])
        .run();
        assert_eq!(again.code, 0, "{again:?}");
        assert!(!again.stdout.contains("# default"), "{again:?}");
    }
}

#[test]
fn numbers_and_truths_need_no_quotes_in_the_file() {
    let file = ConfigFile::of("slack-pace = 0.5\nhistory-max-bytes = 4294967296\njson = true\n");
    let ended = file.serve(&["--print-config"]).run();
    assert!(line_of(&ended, "slack-pace").contains("\"0.5\""));
    let path = file.path();
    let list = [
        "user",
        "list",
        "--config",
        path.to_str().unwrap(),
        "--print-config",
    ];
    assert!(line_of(&program(&list).run(), "json").contains("\"true\""));
}

#[test]
fn a_file_may_be_shared_by_commands_that_have_other_keys() {
    let file = ConfigFile::of("data-dir = \"/srv/en\"\nurl = \"http://127.0.0.1:9\"\nkeep = 5\n");
    let ended = file.serve(&["--print-config"]).run();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stdout.contains("keep"), "{ended:?}");
}

#[test]
fn an_unknown_key_is_one_line_with_code_2() {
    for (text, said) in [
        ("data_dir = \"x\"\n", "write 'data-dir'"),
        ("lisen = \"x\"\n", "unknown key 'lisen'"),
        ("config = \"x\"\n", "unknown key 'config'"),
        ("dry-run = true\n", "unknown key 'dry-run'"),
        ("[serve]\nlisten = \"x\"\n", "'serve'"),
    ] {
        let file = ConfigFile::of(text);
        let ended = file.serve(&[]).run();
        let line = ended.one_line_and_code_2();
        assert!(line.contains(said), "{line}");
        assert!(line.contains(file.path().to_str().unwrap()), "{line}");
    }
}

#[test]
fn a_value_out_of_range_in_the_file_is_one_line_that_names_key_and_file() {
    for text in [
        "slack-burst = 0",
        "slack-pace = 0",
        "slack-url = \"slack.com\"",
        "retention = \"7\"",
        "history-max-bytes = \"1KiB\"",
        "drain-delay = \"2h\"",
        "max-connections = 0",
        "max-in-flight = -1",
        "listen = \"localhost\"",
        "log-http = \"some\"",
        "log-format = \"xml\"",
        "log-level = \"loud\"",
        "listen = [\"127.0.0.1:1\"]",
        "keep = 0",
        "keep-bytes = 1",
        "json = \"maybe\"",
        "ops-target = \"ann\"",
    ] {
        let file = ConfigFile::of(text);
        let ended = file.serve(&[]).run();
        let line = ended.one_line_and_code_2();
        let key = text.split(' ').next().unwrap();
        let place = format!("'{key}' in {}", file.path().display());
        assert!(line.contains(&place), "{line}");
    }
}

#[test]
fn a_value_out_of_range_in_the_environment_is_one_line_that_names_the_variable() {
    let ended = program(&["serve"])
        .env("ERROR_NOTIFIER_SLACK_BURST", "0")
        .run();
    let line = ended.one_line_and_code_2();
    assert!(line.contains("ERROR_NOTIFIER_SLACK_BURST"), "{line}");
    assert!(line.contains("1..=10000"), "{line}");
}

#[test]
fn a_value_out_of_range_in_a_flag_is_one_line_that_names_the_flag() {
    let ended = program(&["serve", "--slack-burst", "0"])
        .env("ERROR_NOTIFIER_SLACK_BURST", "1")
        .run();
    let line = ended.one_line_and_code_2();
    assert!(line.contains("'--slack-burst <MESSAGES>'"), "{line}");
}

#[test]
fn a_wrong_value_in_the_file_is_refused_even_where_a_flag_overrides_it() {
    let file = ConfigFile::of("slack-burst = 0");
    file.serve(&["--slack-burst", "2", "--print-config"])
        .run()
        .one_line_and_code_2();
}

#[test]
fn an_unreadable_file_is_one_line_with_code_2() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("none.toml");
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"data-dir = \"\xe4\"").unwrap();
    for (path, said) in [
        (missing.as_path(), "No such file"),
        (folder.path(), "Is a directory"),
        (latin.as_path(), "not UTF-8"),
    ] {
        let path = path.to_str().unwrap();
        let ended = program(&["serve", "--config", path]).run();
        let line = ended.one_line_and_code_2();
        assert!(line.contains(path) && line.contains(said), "{line}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_one_line_with_the_lines_number() {
    let file = ConfigFile::of("listen = \"127.0.0.1:1\"\ndata-dir = oops\n");
    let ended = file.serve(&[]).run();
    let line = ended.one_line_and_code_2();
    assert!(line.contains("line 2 of"), "{line}");
}

#[test]
fn a_wrong_rust_log_is_one_line_with_code_2() {
    let ended = program(&["serve"]).env("RUST_LOG", "loud").run();
    assert!(ended.one_line_and_code_2().contains("RUST_LOG"));
}

#[test]
fn what_a_command_requires_may_stand_in_the_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("producer.toml");
    std::fs::write(
        &file,
        "database-url = \"postgres://ann:hush@db/errors\"\nkafka-brokers = \"kafka:9092\"\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let shown = program(&["producer", "--config", path, "--print-config"]).run();
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("kafka:9092"), "{shown:?}");
    assert!(!shown.stdout.contains("hush"), "{shown:?}");
    std::fs::write(&file, "kafka-brokers = \"kafka:9092\"\n").unwrap();
    let refused = program(&["producer", "--config", path]).run();
    let line = refused.one_line_and_code_2();
    assert!(line.contains("--database-url"), "{line}");
}
