//! `--help`, `--version`, completions, and lines typed wrongly.

use crate::program::program;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["demo"],
    &["serve"],
    &["mockup"],
    &["send"],
    &["alert"],
    &["alert", "list"],
    &["alert", "show"],
    &["alert", "cancel"],
    &["alert", "watch"],
    &["dead-letter"],
    &["dead-letter", "list"],
    &["dead-letter", "show"],
    &["dead-letter", "replay"],
    &["dead-letter", "discard"],
    &["destination"],
    &["destination", "list"],
    &["user"],
    &["user", "list"],
    &["user", "show"],
    &["user", "add"],
    &["user", "set"],
    &["user", "remove"],
    &["user", "test"],
    &["group"],
    &["group", "list"],
    &["group", "show"],
    &["group", "add"],
    &["group", "set"],
    &["group", "remove"],
    &["group", "subscribe"],
    &["group", "unsubscribe"],
    &["directory"],
    &["directory", "export"],
    &["directory", "import"],
    &["token"],
    &["token", "create"],
    &["token", "list"],
    &["token", "revoke"],
    &["audit"],
    &["backup"],
    &["health"],
    &["completions"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let ended = program(&[command, &["--help"][..]].concat()).run();
        assert_eq!(ended.code, 0, "{command:?} {ended:?}");
        let usage = format!(
            "Usage: {}",
            [&["error-notifier"], *command].concat().join(" ")
        );
        assert!(ended.stdout.contains(&usage), "{command:?} {ended:?}");
    }
}

#[test]
fn the_help_of_every_command_that_stands_alone_has_examples() {
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        let ended = program(&[command[0], "--help"]).run();
        assert!(ended.stdout.contains("Examples:"), "{command:?} {ended:?}");
    }
}

#[test]
fn the_help_names_the_variable_of_a_setting_and_not_its_value() {
    let help = program(&["serve", "--help"])
        .env("ERROR_NOTIFIER_DATA_DIR", "/somewhere/private")
        .run();
    assert!(help.stdout.contains("[env: ERROR_NOTIFIER_DATA_DIR]"));
    assert!(!help.stdout.contains("/somewhere/private"));
}

#[test]
fn the_version_is_one_line_with_the_programs_name_and_version() {
    let ended = program(&["--version"]).run();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        ended
            .stdout
            .starts_with(&format!("error-notifier {version}"))
    );
    assert_eq!(ended.stdout.lines().count(), 1);
}

#[test]
fn completions_know_the_commands_in_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = program(&["completions", shell]).run();
        assert_eq!(ended.code, 0);
        for word in ["unsubscribe", "print-config", "slack-pace"] {
            assert!(ended.stdout.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn a_wrong_line_is_answered_in_one_line_with_code_2_and_the_way_to_help() {
    for (arguments, said) in [
        (&["sned"][..], "'send'"),
        (&["serve", "--listen", "x"], "127.0.0.1:8080"),
        (&["serve", "extra"], "'extra'"),
        (&["serve", "--ops-target", "ann"], "@@group"),
        (&["demo", "--ops-target", ""], "@@group"),
        (&["send", "text"], "--target <TARGET>"),
        (
            &["send", "-t", "@a", "-s", "urgent", "x"],
            "high, normal, low",
        ),
        (&["send", "-t", "@a", "--key", "a b", "x"], "visible ASCII"),
        (&["user", "add", "n", "--channel", "c", "--id", "7"], "--id"),
        (&["user", "list", "--gtid", "a b"], "--gtid"),
        (&["token", "create", "ci"], "--scope"),
        (
            &["token", "create", "ci", "--scope", "root"],
            "directory:write",
        ),
        (&["completions", "cmd"], "bash"),
    ] {
        let ended = program(arguments).run();
        let line = ended.one_line_and_code_2();
        assert!(line.contains(said), "{line}");
        assert!(line.contains("--help`"), "{line}");
    }
}
