//! The TOML file that `--config` names.

use std::collections::BTreeMap;
use std::path::Path;

/// Reads `path` as flat `key = value` lines, the values as text: they are
/// then parsed as a flag's value would be.
///
/// # Errors
///
/// One line that names the file: unreadable, not TOML (with the line number),
/// or a value that is not a text, a number or true/false.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("cannot read the configuration file {shown}: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("cannot read the configuration file {shown}: it is not UTF-8"))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| not_toml(path, &text, &error))?;
    table
        .into_iter()
        .map(|(key, value)| match plain(&value) {
            Some(value) => Ok((key, value)),
            None => Err(format!(
                "'{key}' in {shown} must be a text, a number or true/false, not a {kind}",
                kind = value.type_str()
            )),
        })
        .collect()
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// The parser's own message spans several lines and quotes the file.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|&b| b == b'\n').count();
    let reason = error.message().replace('\n', ", ");
    format!("line {line} of {} is not TOML: {reason}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<BTreeMap<String, String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn texts_numbers_and_truths_are_taken_as_a_flag_would_be_written() {
        let read = read_text("a = \"x\"\nb = 2\nc = 0.5\nd = true\n").unwrap();
        let values: Vec<_> = read.values().map(String::as_str).collect();
        assert_eq!(values, ["x", "2", "0.5", "true"]);
    }

    #[test]
    fn what_is_not_toml_is_refused_in_one_line_with_its_number() {
        let line = read_text("a = 1\nb 2\n").unwrap_err();
        assert!(line.starts_with("line 2 of "), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn a_list_or_a_date_is_refused_with_its_key() {
        assert!(read_text("listen = [1]").unwrap_err().contains("'listen'"));
        assert!(
            read_text("keep = 2026-01-01")
                .unwrap_err()
                .contains("datetime")
        );
    }
}
