//! Text in columns, for terminals.

use std::fmt::Write as _;

use jiff::{Timestamp, Unit};

use engage_wire::escape_for_terminal;

/// Rows under headings, each column as wide as its widest text.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(headings[column].len())
    });
    let headings = headings.map(str::to_owned);
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.pop();
    text
}

/// Text of a device, or what stands for its absence.
pub(super) fn or_dash(text: Option<&str>) -> String {
    match text {
        Some(text) if !text.is_empty() => escape_for_terminal(text).into_owned(),
        _ => "-".to_owned(),
    }
}

/// A moment to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text_and_lines_end_with_text() {
        let rows = [
            ["1".to_owned(), "long".to_owned()],
            ["äöü".to_owned(), "-".to_owned()],
        ];
        assert_eq!(table(["A", "B"], &rows), "A    B\n1    long\näöü  -");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(
            or_dash(Some("a\x1b[2J\u{9b}b\u{202e}")),
            r"a\u{1b}[2J\u{9b}b\u{202e}"
        );
        assert_eq!(or_dash(Some("Tür 1")), "Tür 1");
        assert_eq!(or_dash(Some("")), "-");
        assert_eq!(or_dash(None), "-");
    }

    #[test]
    fn moments_are_shown_to_the_second() {
        assert_eq!(
            moment("2026-11-23T02:13:05.4Z".parse().unwrap()),
            "2026-11-23T02:13:05Z"
        );
    }
}
