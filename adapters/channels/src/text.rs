//! Cutting a long text into messages.

use unicode_segmentation::UnicodeSegmentation;

/// How much before its end a part may be cut to end with a line or word.
const LOOK_BACK: usize = 200;

/// How long one message may be, in what its channel counts.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    /// The most of one message, its mark included.
    pub(crate) limit: usize,
    /// How much a character counts.
    pub(crate) width_of: fn(char) -> usize,
}

impl Measure {
    /// How much `text` counts.
    pub(crate) fn width(&self, text: &str) -> usize {
        text.chars().map(self.width_of).sum()
    }

    /// Whether `text` counts at most `limit`. Looks no further.
    fn fits(&self, text: &str, limit: usize) -> bool {
        let mut used = 0;
        text.chars().all(|character| {
            used += (self.width_of)(character);
            used <= limit
        })
    }
}

/// `text` as it is where it fits, else cut so that each part fits with its mark.
///
/// Nothing is lost: the parts joined are the text. White space at a cut stays at the
/// end of the part before it. No cut goes through a character as its reader sees it
/// (a grapheme cluster), unless that alone is longer than a part.
pub(crate) fn split(text: &str, measure: Measure) -> Vec<&str> {
    if measure.fits(text, measure.limit) {
        return vec![text];
    }
    // The mark's length depends on how many parts there will be, so numbers of one
    // digit are tried, then of two.
    let mut digits = 1;
    loop {
        let mark = " (/)".len() + 2 * digits;
        let parts = split_at_most(text, measure, measure.limit - mark);
        if parts.len().to_string().len() <= digits {
            return parts;
        }
        digits += 1;
    }
}

/// Parts with ` (1/3)` at the end of each; one alone as it is.
pub(crate) fn marked(parts: Vec<String>) -> Vec<String> {
    let count = parts.len();
    if count == 1 {
        return parts;
    }
    let numbered = (1..).zip(parts);
    numbered
        .map(|(number, part): (usize, _)| format!("{part} ({number}/{count})"))
        .collect()
}

fn split_at_most(text: &str, measure: Measure, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !measure.fits(rest, limit) {
        let (part, after) = rest.split_at(cut(rest, measure, limit));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Where to cut `text`, which does not fit: after the last line break or else the
/// last space near the limit, else after the last character that fits.
fn cut(text: &str, measure: Measure, limit: usize) -> usize {
    let (mut end, mut used) = (0, 0);
    let (mut line, mut word) = (None, None);
    for (start, cluster) in text.grapheme_indices(true) {
        let width = measure.width(cluster);
        if used + width > limit {
            break;
        }
        used += width;
        end = start + cluster.len();
        match cluster {
            "\n" | "\r\n" => line = Some((end, used)),
            " " | "\t" | "\u{3000}" => word = Some((end, used)),
            _ => {}
        }
    }
    if end == 0 {
        return cut_within_cluster(text, measure, limit);
    }
    let near = |&(_, at): &(usize, usize)| used - at <= LOOK_BACK;
    line.filter(near)
        .or(word.filter(near))
        .map_or(end, |(end, _)| end)
}

/// Where to cut a text that begins with a cluster longer than a part (thousands of
/// combining marks on one letter): between two of its code points.
fn cut_within_cluster(text: &str, measure: Measure, limit: usize) -> usize {
    let mut used = 0;
    text.char_indices()
        .find(|&(_, character)| {
            used += (measure.width_of)(character);
            used > limit
        })
        .map_or(text.len(), |(at, _)| at)
}
