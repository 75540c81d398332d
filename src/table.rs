//! Text in columns, for terminals.

use std::fmt::Write as _;
use std::iter;

use jiff::{Timestamp, Unit};

use engage_store::Timestamped;
use engage_wire::escape_for_terminal;

/// Rows under headings, each column as wide as its widest text.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let columns = Columns::new(headings, rows);
    let headings = headings.map(str::to_owned);
    let lines = iter::once(&headings).chain(rows);
    let lines: Vec<_> = lines.map(|row| columns.line(row)).collect();
    lines.join("\n")
}

/// How wide each column is, in characters: at most [`MAX_WIDTH`].
pub(crate) struct Columns<const N: usize>([usize; N]);

impl<const N: usize> Columns<N> {
    /// As wide as the widest text of these rows that is not over [`MAX_WIDTH`].
    pub(crate) fn new(headings: [&str; N], rows: &[[String; N]]) -> Self {
        Self(std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            let cells = cells.filter(|width| *width <= MAX_WIDTH);
            cells.max().unwrap_or(0).max(headings[column].len())
        }))
    }

    /// Without the end of the line. What is wider than its column moves those behind it.
    pub(crate) fn line(&self, row: &[String; N]) -> String {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(self.0) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Text of a device, or what stands for its absence.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    match text {
        Some(text) if !text.is_empty() => escape_for_terminal(text).into_owned(),
        _ => "-".to_owned(),
    }
}

/// A moment to the second, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// A moment, and the value that belongs to it.
pub(crate) fn dated(dated: &Timestamped, label: &str) -> String {
    let value = escape_for_terminal(&dated.value);
    format!("{} ({label} {value})", moment(dated.at))
}

/// What is wider is rare, and would leave the others far apart. A format takes at most 65,535.
const MAX_WIDTH: usize = 200;

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
    fn a_cell_without_end_leaves_the_others_where_they_are() {
        let long = "x".repeat(70_000);
        let rows = [["1", &long, "a"], ["2", "y", "b"]].map(|row| row.map(str::to_owned));
        let table = table(["N", "X", "L"], &rows);
        assert_eq!(table, format!("N  X  L\n1  {long}  a\n2  y  b"));
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
