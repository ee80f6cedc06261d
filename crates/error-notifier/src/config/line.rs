//! Makes one line of clap's errors, and names the place that has to change.

use clap::error::{ContextKind, ContextValue};

/// Where a wrong value was written.
pub(crate) enum Place<'a> {
    /// On the command line: clap's own words fit.
    Flag,
    /// In an environment variable of this name.
    Environment(&'a str),
    /// Under this key of the file shown as this path.
    File(&'a str, &'a str),
}

/// The whole of `error` as one line, without "error:" and usage.
pub(crate) fn one_line(error: &clap::Error, place: &Place<'_>) -> String {
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n").map(joined);
    let mut line = paragraphs.next().unwrap_or_default();
    if let Some(rest) = line.strip_prefix("error: ") {
        line = rest.to_owned();
    }
    for tip in paragraphs.filter_map(|p| p.strip_prefix("tip: ").map(str::to_owned)) {
        line.push_str("; ");
        line.push_str(&tip);
    }
    without_password(relocated(line, error, place))
}

/// What is refused is shown, but not the user and password of a URL in it.
fn without_password(line: String) -> String {
    let Some((before, rest)) = line.split_once("://") else {
        return line;
    };
    let authority = rest.split(['/', '\'', ' ']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{before}://…{}", &rest[at..]),
        None => line,
    }
}

/// The argument that `error` is about, as in `--slack-burst <MESSAGES>`.
pub(crate) fn argument(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => Some(argument),
        _ => None,
    }
}

fn joined(paragraph: &str) -> String {
    let lines: Vec<_> = paragraph
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

fn relocated(line: String, error: &clap::Error, place: &Place<'_>) -> String {
    let Some(argument) = argument(error) else {
        return line;
    };
    let there = match place {
        Place::Flag => return line,
        Place::Environment(name) => format!("the environment variable {name}"),
        Place::File(key, path) => format!("'{key}' in {path}"),
    };
    line.replace(&format!("'{argument}'"), &there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        clap::Command::new("x")
            .arg(
                clap::Arg::new("burst")
                    .long("burst")
                    .value_name("N")
                    .value_parser(clap::value_parser!(u32).range(1..=9)),
            )
            .arg(clap::Arg::new("to").long("to").required(true))
            .arg(clap::Arg::new("text").required(true))
    }

    fn line(arguments: &[&str], place: &Place<'_>) -> String {
        let arguments = [&["x"], arguments].concat();
        let error = command().try_get_matches_from(arguments).unwrap_err();
        one_line(&error, place)
    }

    #[test]
    fn a_wrong_value_is_named_where_it_was_written() {
        let place = Place::File("burst", "/etc/a.toml");
        assert_eq!(
            line(&["--burst=0"], &place),
            "invalid value '0' for 'burst' in /etc/a.toml: 0 is not in 1..=9"
        );
        let place = Place::Environment("X_BURST");
        assert!(line(&["--burst=0"], &place).contains("environment variable X_BURST:"));
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let line = "invalid value 'https://ann:pass@host/x' for '--url'".to_owned();
        assert_eq!(
            without_password(line),
            "invalid value 'https://…@host/x' for '--url'"
        );
        let plain = "see https://host/x for mail@host".to_owned();
        assert_eq!(without_password(plain.clone()), plain);
    }

    #[test]
    fn missing_arguments_and_tips_fit_into_the_line() {
        let missing = line(&[], &Place::Flag);
        assert!(missing.ends_with("--to <to> <text>"), "{missing}");
        let mistyped = line(&["--brst=1"], &Place::Flag);
        assert!(mistyped.contains("'--burst'"), "{mistyped}");
        assert!(!(missing + &mistyped).contains('\n'));
    }
}
