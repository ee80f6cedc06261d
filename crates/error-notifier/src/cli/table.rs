//! Aligned columns for a terminal.

use unicode_width::UnicodeWidthStr;

/// Lays `rows` out under `header`, two spaces between columns, aligned by the
/// width that a terminal gives them (Hangul takes two columns a letter). Every
/// row has as many cells as the header.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let mut widths = vec![0; header.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.width().max(*width);
        }
    }
    lines.iter().map(|line| aligned(line, &widths)).collect()
}

/// The text without what could steer the terminal or turn its direction.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(steers, "\u{fffd}")
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(width + 2 - cell.width()));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn a_hangul_letter_counts_two_columns() {
        let rows = [row(&["장애알림", "C1"]), row(&["user_name1", "C2"])];
        assert_eq!(
            table(&["NAME", "CHANNEL"], &rows),
            "NAME        CHANNEL\n장애알림    C1\nuser_name1  C2\n"
        );
    }

    #[test]
    fn a_line_ends_without_spaces() {
        assert_eq!(table(&["A", "B"], &[row(&["x", ""])]), "A  B\nx\n");
    }

    #[test]
    fn a_value_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2J\nb\u{202e}"),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}"
        );
    }
}
