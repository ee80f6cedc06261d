//! Command line, environment, file and defaults put together.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches};

use super::file;
use super::line::{self, Place};
use super::secret;
use super::settings::ConfigSource;
use crate::cli::PROGRAM;

const PREFIX: &str = "ERROR_NOTIFIER_";

/// Why no command is to be run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// `--help`, `--version`, or no command at all: clap prints and decides.
    Shown(clap::Error),
    /// `--print-config` was given: what to print.
    Settings(String),
    /// One line that says what is wrong, and where; exit code 2.
    Wrong(String),
}

/// Reads `arguments` (the program's name first), the environment, and the file
/// that `--config` names.
pub(crate) fn parse<C: CommandFactory + FromArgMatches>(arguments: &[OsString]) -> Result<C, Stop> {
    let command = command::<C>();
    let source = source(&command, arguments)
        .map_err(|error| stopped(&error, &command, arguments).unwrap_or(Stop::Shown(error)))?;
    let values = match &source.config {
        Some(path) => read_and_check(path, &command).map_err(Stop::Wrong)?,
        None => BTreeMap::new(),
    };
    // A value of the file is to clap a default: flag and environment go first.
    let layered = with_defaults(command.clone(), &values);
    let matches = layered
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| stopped(&error, &command, arguments).unwrap_or(Stop::Shown(error)))?;
    if source.print_config {
        let path = source.config.as_deref();
        return Err(Stop::Settings(in_force(&layered, &matches, &values, path)));
    }
    C::from_arg_matches(&matches).map_err(Stop::Shown)
}

/// Where the settings come from. What is required may stand in the file, so that it is not
/// asked for before the file is read.
fn source(command: &clap::Command, arguments: &[OsString]) -> Result<ConfigSource, clap::Error> {
    let parsed = command.clone().try_get_matches_from(arguments);
    let matches = match parsed {
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let without = without_required(command.clone()).try_get_matches_from(arguments);
            let is_in_file =
                |matches: &ArgMatches| matches.try_contains_id("config").unwrap_or(false);
            without.ok().filter(is_in_file).ok_or(error)?
        }
        parsed => parsed?,
    };
    ConfigSource::from_arg_matches(&matches)
}

fn without_required(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.required(false))
        .mut_subcommands(without_required)
}

/// The whole command line: `C`, and where its settings come from.
pub(crate) fn command<C: CommandFactory>() -> clap::Command {
    quiet_about_the_environment(ConfigSource::augment_args(C::command()))
}

/// A setting's name in the file: its flag without the dashes. `None` for what
/// is no setting, and for `--config` itself.
fn key(argument: &Arg) -> Option<&str> {
    argument.get_env()?;
    argument.get_long().filter(|&long| long != "config")
}

/// `--help` names the variables, not what they hold.
fn quiet_about_the_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env_values(true))
        .mut_subcommands(quiet_about_the_environment)
}

fn with_defaults(command: clap::Command, values: &BTreeMap<String, String>) -> clap::Command {
    command
        .mut_args(
            |argument| match key(&argument).and_then(|k| values.get(k)) {
                Some(value) => argument.required(false).default_value(value.clone()),
                None => argument,
            },
        )
        .mut_subcommands(|inner| with_defaults(inner, values))
}

/// The file's values, each known and each good for every command that has it.
fn read_and_check(
    path: &Path,
    command: &clap::Command,
) -> Result<BTreeMap<String, String>, String> {
    let values = file::read(path)?;
    let mut settings = Vec::new();
    collect_settings(command, &mut settings);
    let shown = path.display().to_string();
    for (name, value) in &values {
        let having: Vec<_> = settings
            .iter()
            .filter(|argument| key(argument) == Some(name))
            .collect();
        if having.is_empty() {
            return Err(unknown_key(name, &shown, &settings));
        }
        for argument in having {
            check(argument, value, &Place::File(name, &shown))?;
        }
    }
    Ok(values)
}

fn collect_settings(command: &clap::Command, into: &mut Vec<Arg>) {
    into.extend(
        command
            .get_arguments()
            .filter(|a| key(a).is_some())
            .cloned(),
    );
    for inner in command.get_subcommands() {
        collect_settings(inner, into);
    }
}

/// Parses one value alone, by the argument's own parser.
fn check(argument: &Arg, value: &str, place: &Place<'_>) -> Result<(), String> {
    let Some(long) = argument.get_long() else {
        return Ok(());
    };
    let alone = argument
        .clone()
        .requires(Resettable::Reset)
        .conflicts_with(Resettable::Reset)
        .env(None::<&str>)
        .action(ArgAction::Set)
        .num_args(1);
    clap::Command::new(PROGRAM)
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from([format!("--{long}={value}")])
        .map(|_| ())
        .map_err(|error| line::one_line(&error, place))
}

fn unknown_key(name: &str, path: &str, settings: &[Arg]) -> String {
    let known: BTreeSet<_> = settings.iter().filter_map(key).collect();
    let kebab = name.replace('_', "-").to_lowercase();
    match known.get(kebab.as_str()) {
        Some(meant) => format!("unknown key '{name}' in {path}; write '{meant}'"),
        None => format!(
            "unknown key '{name}' in {path}; `{PROGRAM} serve --help` lists the flags, whose names are the keys"
        ),
    }
}

/// The first parse's error as a line; `None` where clap itself shows a text.
fn stopped(error: &clap::Error, command: &clap::Command, arguments: &[OsString]) -> Option<Stop> {
    let shows_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if shows_help {
        return None;
    }
    let variable = wrong_variable(error, arguments);
    let place = variable.as_deref().map_or(Place::Flag, Place::Environment);
    let called = called(command, arguments);
    Some(Stop::Wrong(format!(
        "{}; see `{called} --help`",
        line::one_line(error, &place)
    )))
}

/// The environment variable that holds the wrong value, where no flag does.
fn wrong_variable(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let argument = line::argument(error)?;
    let flag = argument.split(' ').next()?;
    let name = flag.strip_prefix("--")?.replace('-', "_").to_uppercase();
    let given = arguments.iter().any(|given| {
        let given = given.to_string_lossy();
        given == flag || given.starts_with(&format!("{flag}="))
    });
    let variable = format!("{PREFIX}{name}");
    (!given && std::env::var_os(&variable).is_some()).then_some(variable)
}

/// The command as far as it was understood, as in `error-notifier user add`.
fn called(command: &clap::Command, arguments: &[OsString]) -> String {
    let mut called = PROGRAM.to_owned();
    let mut command = command;
    for argument in arguments.iter().skip(1) {
        if let Some(inner) = command.find_subcommand(argument) {
            called.push(' ');
            called.push_str(inner.get_name());
            command = inner;
        }
    }
    called
}

/// What `--print-config` prints: a file that would give the same settings.
fn in_force(
    command: &clap::Command,
    matches: &ArgMatches,
    values: &BTreeMap<String, String>,
    path: Option<&Path>,
) -> String {
    let (mut command, mut matches) = (command, matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else {
            break;
        };
        (command, matches) = (found, inner);
    }
    let mut text = String::new();
    for argument in command.get_arguments() {
        let Some(key) = key(argument) else { continue };
        let id = argument.get_id().as_str();
        let Some(value) = matches.get_raw(id).and_then(|mut raw| raw.next()) else {
            text.push_str(&format!("# {key} is not set\n"));
            continue;
        };
        let value = toml::Value::String(secret::shown(key, &value.to_string_lossy()));
        let source = match (matches.value_source(id), path) {
            (Some(ValueSource::CommandLine), _) => "command line".to_owned(),
            (Some(ValueSource::EnvVariable), _) => "environment".to_owned(),
            (_, Some(path)) if values.contains_key(key) => path.display().to_string(),
            _ => "default".to_owned(),
        };
        text.push_str(&format!("{key} = {value}  # {source}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn settings() -> Vec<Arg> {
        let mut settings = Vec::new();
        collect_settings(&Cli::command(), &mut settings);
        settings
    }

    #[test]
    fn every_setting_has_the_variable_that_its_flag_says() {
        for argument in settings() {
            let long = argument.get_long().unwrap();
            let expected = format!("{PREFIX}{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().unwrap().to_str(), Some(&*expected));
        }
    }

    #[test]
    fn every_flag_of_a_server_is_a_setting() {
        let command = Cli::command();
        for name in ["serve", "producer", "consumer", "migrate", "demo", "mockup"] {
            for argument in command.find_subcommand(name).unwrap().get_arguments() {
                assert!(key(argument).is_some(), "{name} {argument}");
            }
        }
    }

    #[test]
    fn the_commands_are_declared_without_a_contradiction() {
        command::<Cli>().debug_assert();
    }
}
