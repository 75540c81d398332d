//! Events as comma-separated values: a line each, harmless in a terminal and in a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use super::unquote;
use engage_store::{DeviceId, StoredEvent};
use engage_wire::escape_for_terminal;

/// Writes events as CSV.
pub(crate) struct CsvPrinter<W: Write>(csv::Writer<W>);

impl<W: Write> CsvPrinter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self(csv::Writer::from_writer(out))
    }

    /// The names of the columns: those of the stored lines.
    pub(crate) fn print_heading(&mut self) -> io::Result<()> {
        Ok(self.0.write_record(COLUMNS)?)
    }

    pub(crate) fn print(&mut self, device: DeviceId, stored: &StoredEvent) -> io::Result<()> {
        let StoredEvent {
            received_at,
            event,
            time,
            code,
            name,
            at,
            record: _,
            with: _,
            batch,
            line,
            of,
            note: _,
        } = stored;
        let fields: [Cow<'_, str>; COLUMNS.len()] = [
            received_at.to_string().into(),
            device.to_string().into(),
            unquote(event.as_deref()).into(),
            unquote(time.as_deref()).into(),
            code.as_deref().unwrap_or_default().into(),
            name.as_deref().unwrap_or_default().into(),
            at.as_deref().unwrap_or_default().into(),
            batch.into(),
            line.to_string().into(),
            of.to_string().into(),
        ];
        Ok(self.0.write_record(fields.iter().map(|it| harmless(it)))?)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Devices choose what they send. What steers a terminal is escaped; and spreadsheets run what
/// starts with these signs (OWASP, CSV injection), after a semicolon too, where that is the list
/// separator: an apostrophe before them makes it text.
fn harmless(value: &str) -> String {
    let escaped = escape_for_terminal(value);
    let mut text = String::with_capacity(escaped.len() + 1);
    for cell in escaped.split_inclusive([',', ';']) {
        if cell.starts_with(['=', '+', '-', '@']) {
            text.push('\'');
        }
        text.push_str(cell);
    }
    text
}

const COLUMNS: [&str; 10] = [
    "received_at",
    "device",
    "event",
    "time",
    "code",
    "name",
    "at",
    "batch",
    "line",
    "of",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_nothing_steers_a_terminal() {
        for (value, written) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "a,b"),
            ("a\nb", r"a\nb"),
            ("\x1b[2J\u{9b}", r"\u{1b}[2J\u{9b}"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", r"\t=1"),
            ("x;=1,-2", "x;'=1,'-2"),
        ] {
            assert_eq!(harmless(value), written);
        }
    }
}
