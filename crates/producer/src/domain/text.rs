//! The rules that names, descriptions and addresses share.

use std::ops::RangeInclusive;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Why a field's text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Invalid {
    /// The field as the API names it: `name`, `desc`, `channelId`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// `text` in NFC, so that a name typed on macOS (which sends Hangul decomposed)
/// is the name typed elsewhere.
pub fn normalise(text: &str) -> String {
    if is_nfc(text) {
        text.to_owned()
    } else {
        text.nfc().collect()
    }
}

/// `text` in NFC where it is a well-formed line: its length in code points within
/// `bounds`, no control characters, no leading or trailing white space.
pub fn line(
    field: &'static str,
    text: &str,
    bounds: RangeInclusive<usize>,
) -> Result<Box<str>, Invalid> {
    let refuse = |problem: String| Err(Invalid { field, problem });
    let text = normalise(text);
    let length = text.chars().count();
    if !bounds.contains(&length) {
        return refuse(format!(
            "must be {} to {} characters long, and has {length}.",
            bounds.start(),
            bounds.end()
        ));
    }
    if text.chars().any(char::is_control) {
        return refuse("must not hold control characters.".into());
    }
    if text.trim().len() != text.len() {
        return refuse("must not begin or end with white space.".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_code_points_after_normalisation() {
        let decomposed: String = "장애알림방".nfd().collect();
        assert!(decomposed.chars().count() > 5);
        assert_eq!(
            line("name", &decomposed, 5..=5).as_deref(),
            Ok("장애알림방")
        );
    }

    #[test]
    fn a_text_outside_its_bounds_is_refused_naming_them() {
        let error = line("desc", "four", 5..=200).unwrap_err();
        assert_eq!(
            error.to_string(),
            "desc must be 5 to 200 characters long, and has 4."
        );
    }

    #[test]
    fn control_characters_and_outer_white_space_are_refused() {
        for text in ["a\nb", "a\u{0}b", " ab", "ab ", "ab\u{3000}"] {
            assert!(line("name", text, 1..=30).is_err(), "{text:?}");
        }
    }
}
