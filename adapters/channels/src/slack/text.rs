//! The text as Slack wants it: escaped, and in parts where it is long.

use crate::text::{Measure, marked, split};

/// The most characters (Unicode code points, after escaping) of one message. Slack
/// recommends to keep `text` within 4,000, splits what is longer as it likes, and
/// cuts it off beyond 40,000
/// (<https://docs.slack.dev/reference/methods/chat.postMessage#truncating>,
/// <https://api.slack.com/changelog/2018-04-truncating-really-long-messages>).
pub const PART_LIMIT: usize = 4_000;

const MEASURE: Measure = Measure {
    limit: PART_LIMIT,
    width_of,
};

/// `text` as the messages that carry it: itself where it fits, else parts that are
/// each marked ` (1/3)` at their end, within the limit.
///
/// Nothing is lost: the parts without their marks, joined, are the text. White
/// space at a cut stays at the end of the part before it. No cut goes through an
/// escape or a character as its reader sees it (a grapheme cluster), unless that
/// alone is longer than a part.
pub(crate) fn parts(text: &str) -> Vec<String> {
    let parts = split(text, MEASURE);
    marked(parts.into_iter().map(escape).collect())
}

/// The same of a text that is in Slack's notation already: nothing is escaped.
pub(super) fn parts_as_they_are(text: &str) -> Vec<String> {
    let measure = Measure {
        width_of: |_| 1,
        ..MEASURE
    };
    let parts = split(text, measure);
    marked(parts.into_iter().map(str::to_owned).collect())
}

/// Escapes the three characters that Slack gives a meaning, and no other
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        escaped.push_str(&rest[..at]);
        escaped.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = &rest[at + 1..];
    }
    escaped.push_str(rest);
    escaped
}

/// How many characters `character` is once escaped.
fn width_of(character: char) -> usize {
    match character {
        '&' => 5,
        '<' | '>' => 4,
        _ => 1,
    }
}

/// How many characters `text` is once escaped.
pub(super) fn width(text: &str) -> usize {
    MEASURE.width(text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    /// The text that parts were made of, by undoing what Slack undoes and taking the
    /// marks off; checks the marks and the limit on the way.
    fn joined(parts: &[String]) -> String {
        let mut whole = String::new();
        for (part, number) in parts.iter().zip(1..) {
            assert!(part.chars().count() <= PART_LIMIT);
            let content = if parts.len() == 1 {
                part
            } else {
                part.strip_suffix(&format!(" ({number}/{})", parts.len()))
                    .expect("each part is marked")
            };
            whole += &content
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&");
        }
        whole
    }

    #[test]
    fn a_text_that_fits_is_sent_as_it_is() {
        let longest = "가".repeat(PART_LIMIT);
        for text in ["[high] node1 down", "", " a\n", longest.as_str()] {
            assert_eq!(parts(text), [text]);
        }
    }

    #[test]
    fn the_three_special_characters_are_escaped_and_no_other() {
        assert_eq!(
            parts("<!channel> a && b \"c\" 'd' &amp; *e*"),
            ["&lt;!channel&gt; a &amp;&amp; b \"c\" 'd' &amp;amp; *e*"]
        );
    }

    #[test]
    fn what_is_in_slacks_notation_is_cut_by_its_own_length_and_left_as_it_is() {
        let text = format!("<!channel> {}", "&".repeat(PART_LIMIT - 11));
        assert_eq!(parts_as_they_are(&text), [text.as_str()]);
        let parts = parts_as_they_are(&format!("{text}&"));
        assert_eq!(parts.len(), 2);
        assert!(parts[0].starts_with("<!channel> &&"));
    }

    #[test]
    fn one_character_too_many_makes_two_marked_parts() {
        let parts = parts(&"x".repeat(PART_LIMIT + 1));
        assert_eq!(
            parts,
            [
                format!("{} (1/2)", "x".repeat(3994)),
                format!("{} (2/2)", "x".repeat(7))
            ]
        );
    }

    #[test]
    fn the_limit_counts_escaped_characters() {
        let text = "&".repeat(801);
        let parts = parts(&text);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].chars().count(), 798 * 5 + " (1/2)".len());
        assert_eq!(joined(&parts), text);
    }

    #[test]
    fn marks_of_two_digits_stay_within_the_limit_too() {
        let text = "x".repeat(40_000);
        let parts = parts(&text);
        assert_eq!(parts.len(), 11);
        assert!(parts[9].ends_with("x (10/11)"));
        assert_eq!(joined(&parts), text);
    }

    #[test]
    fn a_cut_prefers_a_line_break_then_a_space_near_the_end() {
        let line_and_space = format!(
            "{}\n{} {}",
            "a".repeat(3850),
            "b".repeat(50),
            "c".repeat(900)
        );
        assert!(parts(&line_and_space)[0].ends_with("a\n (1/2)"));
        let space = format!("{} {}", "a".repeat(3850), "c".repeat(900));
        assert!(parts(&space)[0].ends_with("a  (1/2)"));
        let too_early = format!("{}\n{}", "a".repeat(3000), "c".repeat(1900));
        assert!(parts(&too_early)[0].ends_with("c (1/2)"));
    }

    #[test]
    fn a_family_a_flag_and_decomposed_hangul_are_never_cut() {
        let hangul = "\u{1112}\u{1161}\u{11ab}";
        for cluster in ["👨‍👩‍👧‍👦", "🇰🇷", hangul, "e\u{301}", "\r\n"] {
            let text = cluster.repeat(3000);
            let parts = parts(&text);
            assert!(parts.len() > 1);
            assert_eq!(joined(&parts), text);
            for part in &parts {
                let content = &part[..part.rfind(" (").unwrap()];
                assert_eq!(content.replace(cluster, ""), "", "{cluster:?}");
            }
        }
    }

    #[test]
    fn a_cluster_longer_than_a_part_is_cut_between_code_points() {
        let text = format!("e{}", "\u{301}".repeat(9000));
        let parts = parts(&text);
        assert_eq!(parts.len(), 3);
        assert_eq!(joined(&parts), text);
    }

    /// Texts around and beyond the limit, of what makes cutting hard.
    fn hard_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z]{1,30}",
            "[&<>]{1,20}",
            "[ \t\r\n]{1,5}",
            "[가-힣ᄀ-ᇿ]{1,20}",
            Just("👨‍👩‍👧‍👦".to_owned()),
            Just("🇰🇷".to_owned()),
            "e\u{301}{1,10}",
            "\\([0-9]/[0-9]\\)",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..1500).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn a_text_within_the_limit_by_its_width_is_one_message() {
        for text in ["&".repeat(800), "가".repeat(4000), "<a>".repeat(400)] {
            assert!(width(&text) <= PART_LIMIT);
            assert_eq!(parts(&text).len(), 1);
        }
        assert_eq!(width("a&b") + width("<"), width("a&b<"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn the_parts_carry_the_whole_text_in_order_within_the_limit(text in hard_text()) {
            let made = parts(&text);
            prop_assert!(!made.is_empty());
            prop_assert_eq!(joined(&made), text.as_str());
            prop_assert_eq!(&parts(&text), &made);
        }

        #[test]
        fn every_cut_falls_between_two_grapheme_clusters(text in hard_text()) {
            let boundaries: HashSet<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
            let mut at = 0;
            for part in split(&text, MEASURE) {
                prop_assert!(at == 0 || boundaries.contains(&at));
                at += part.len();
            }
        }
    }
}
