//! The TOML file that `--config` names.

use std::collections::BTreeMap;
use std::path::Path;

/// The one table, of properties that go to librdkafka, and the key that it stands for.
const PROPERTIES: (&str, &str) = ("kafka", "kafka-properties");

/// Reads `path` as flat `key = value` lines, the values as text: they are
/// then parsed as a flag's value would be. The table `[kafka]` is the value of
/// `kafka-properties`, a line a property.
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
    let mut values = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(properties) if key == PROPERTIES.0 => {
                let mut lines = Vec::new();
                flatten(&key, "", properties, &mut lines)
                    .map_err(|(key, value)| not_plain(&key, &value, path))?;
                values.insert(PROPERTIES.1.to_owned(), lines.join("\n"));
            }
            value => {
                let text = plain(&value).ok_or_else(|| not_plain(&key, &value, path))?;
                values.insert(key, text);
            }
        }
    }
    Ok(values)
}

/// The properties of a table and of the tables in it, as `name=value`: TOML takes an
/// unquoted `security.protocol` for a table `security`. An error is the key and the value
/// that is none of one line.
fn flatten(
    key: &str,
    before: &str,
    table: toml::Table,
    into: &mut Vec<String>,
) -> Result<(), (String, toml::Value)> {
    for (name, value) in table {
        let name = format!("{before}{name}");
        match value {
            toml::Value::Table(inner) => flatten(key, &format!("{name}."), inner, into)?,
            value => match plain(&value) {
                Some(text) if !text.contains('\n') => into.push(format!("{name}={text}")),
                _ => return Err((format!("{key}.{name}"), value)),
            },
        }
    }
    Ok(())
}

fn not_plain(key: &str, value: &toml::Value, path: &Path) -> String {
    let (kind, shown) = (value.type_str(), path.display());
    format!("'{key}' in {shown} must be a text of one line, a number or true/false, not: {kind}")
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
    fn the_table_kafka_is_a_line_a_property_however_it_is_quoted() {
        let text = "[kafka]\nsecurity.protocol = \"SSL\"\n\"linger.ms\" = 5\n[kafka.sasl]\nmechanism = \"PLAIN\"\n";
        let read = read_text(text).unwrap();
        assert_eq!(
            read["kafka-properties"],
            "linger.ms=5\nsasl.mechanism=PLAIN\nsecurity.protocol=SSL"
        );
        let line = read_text("[kafka]\na.b = [1]\n").unwrap_err();
        assert!(line.contains("'kafka.a.b'"), "{line}");
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
