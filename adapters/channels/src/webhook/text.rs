//! The text as it stands in the body: as it is, in parts where it is long.

use crate::text::{Measure, marked, split};

/// The most bytes that one message's text takes in the JSON of its body: 16,000. With
/// the rest the body stays below the 20 kB that Standard Webhooks recommend
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-size>).
pub const PART_LIMIT: usize = 16_000;

const MEASURE: Measure = Measure {
    limit: PART_LIMIT,
    width_of,
};

/// `text` as the messages that carry it: itself where it fits, else parts that are
/// each marked ` (1/3)` at their end, within the limit.
pub(super) fn parts(text: &str) -> Vec<String> {
    let parts = split(text, MEASURE);
    marked(parts.into_iter().map(str::to_owned).collect())
}

/// How many bytes `text` takes in JSON.
pub(super) fn width(text: &str) -> usize {
    MEASURE.width(text)
}

/// How many bytes `character` takes in JSON
/// (<https://www.rfc-editor.org/rfc/rfc8259#section-7>).
fn width_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_the_usual_length_is_one_message_as_it_is() {
        let longest = "x".repeat(PART_LIMIT);
        for text in ["[high] <node1> & \"down\"\n", "", longest.as_str()] {
            assert_eq!(parts(text), [text]);
        }
    }

    #[test]
    fn a_longer_one_is_cut_and_marked() {
        let text = "x".repeat(PART_LIMIT + 1);
        let parts = parts(&text);
        assert_eq!(parts.len(), 2);
        assert!(parts[0].ends_with("x (1/2)") && parts[1].ends_with("x (2/2)"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_width_is_that_of_the_json(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(width(&text), json.len() - 2);
        }

        #[test]
        fn the_parts_carry_the_whole_text_within_the_limit(
            text in prop::collection::vec("[a-z \\n\"\u{1}가]{0,80}", 0..900),
        ) {
            let text = text.concat();
            let parts = parts(&text);
            let mut whole = String::new();
            for (number, part) in (1..).zip(&parts) {
                prop_assert!(width(part) <= PART_LIMIT);
                let mark = format!(" ({number}/{})", parts.len());
                whole += part.strip_suffix(&mark).unwrap_or(part);
            }
            prop_assert_eq!(whole, text);
        }
    }
}
