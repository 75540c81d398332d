//! Events as lines of text: `TIME LEVEL target: message name=value ..`.
//!
//! As `tracing-subscriber` writes them by default, with one difference: nothing that a caller sends
//! can break a line or reach a terminal. Its formatter (0.3.23) escapes ESC and C1 characters, in the
//! message only, and passes line feeds, line separators and marks that turn the direction of
//! writing.

use std::fmt::{self, Debug, Write};

use engage_wire::escape_for_terminal;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::clock::write_now;

/// Formats an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextFormat;

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let in_colour = line.has_ansi_escapes();
        begin_line(&mut line, *metadata.level(), metadata.target(), in_colour)?;
        line.write_str(&escape_for_terminal(&fields(event)?))?;
        line.write_char('\n')
    }
}

/// `TIME LEVEL target: `, of which a caller chooses nothing.
pub(super) fn begin_line(
    line: &mut impl Write,
    level: Level,
    target: &str,
    in_colour: bool,
) -> fmt::Result {
    write_now(line)?;
    line.write_char(' ')?;
    line.write_str(level_name(level, in_colour))?;
    line.write_char(' ')?;
    line.write_str(target)?;
    line.write_str(": ")
}

/// As [`TextFormat`] writes message and fields.
#[cfg(windows)]
pub(super) fn message(event: &Event<'_>) -> Result<String, fmt::Error> {
    fields(event).map(|text| escape_for_terminal(&text).into_owned())
}

fn fields(event: &Event<'_>) -> Result<String, fmt::Error> {
    let mut fields = Fields {
        text: String::new(),
        written: Ok(()),
    };
    event.record(&mut fields);
    let Fields { text, written } = fields;
    written.map(|()| text)
}

/// Five characters, in colour on a terminal.
fn level_name(level: Level, in_colour: bool) -> &'static str {
    match (level, in_colour) {
        (Level::ERROR, false) => "ERROR",
        (Level::WARN, false) => " WARN",
        (Level::INFO, false) => " INFO",
        (Level::DEBUG, false) => "DEBUG",
        (Level::TRACE, false) => "TRACE",
        (Level::ERROR, true) => "\x1b[31mERROR\x1b[0m",
        (Level::WARN, true) => "\x1b[33m WARN\x1b[0m",
        (Level::INFO, true) => "\x1b[32m INFO\x1b[0m",
        (Level::DEBUG, true) => "\x1b[34mDEBUG\x1b[0m",
        (Level::TRACE, true) => "\x1b[35mTRACE\x1b[0m",
    }
}

/// The fields of one event; the message, which comes first, without its name.
struct Fields {
    text: String,
    written: fmt::Result,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.written.is_ok() {
            self.written = self.write(field, value);
        }
    }
}

impl Fields {
    fn write(&mut self, field: &Field, value: &dyn Debug) -> fmt::Result {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        if field.name() != "message" {
            self.text.push_str(field.name());
            self.text.push('=');
        }
        write!(self.text, "{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek, SeekFrom};
    use std::sync::Arc;

    use tracing::{error, info};

    use super::*;

    /// What is written for the events of `logging`, without the times.
    fn written(in_colour: bool, logging: impl FnOnce()) -> io::Result<String> {
        let file = Arc::new(tempfile::tempfile()?);
        let logs = tracing_subscriber::fmt()
            .with_ansi(in_colour)
            .event_format(TextFormat)
            .with_writer(Arc::clone(&file))
            .finish();
        tracing::subscriber::with_default(logs, logging);
        let mut text = String::new();
        (&*file).seek(SeekFrom::Start(0))?;
        (&*file).read_to_string(&mut text)?;
        let events = text.lines().filter_map(|line| line.split_once("Z "));
        Ok(events.map(|(_, event)| event).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn a_line_is_level_target_message_and_fields() {
        let line = written(false, || {
            info!(target: "access", peer = %"[::1]:80", tls = "1.2", absent = None::<&str>,
                device.serial = Some("01"), quoted = "a\"\\", status = 200_u16, ok = true, wait = ?(1, "a"), "{} -> {}", "GET /", 200);
        });
        assert_eq!(
            line.unwrap(),
            " INFO access: GET / -> 200 peer=[::1]:80 tls=\"1.2\" device.serial=\"01\" quoted=\"a\\\"\\\\\" status=200 ok=true wait=(1, \"a\")"
        );
    }

    #[test]
    fn an_event_without_a_message_starts_with_its_first_field() {
        let line = written(false, || info!(target: "t", status = 200_u16, n = -1));
        assert_eq!(line.unwrap(), " INFO t: status=200 n=-1");
    }

    #[test]
    fn control_characters_neither_break_a_line_nor_reach_a_terminal() {
        let lines = written(false, || {
            error!(target: "t", shown = %"a\x1b[2Jb", quoted = "\x07\"\n", "é\r\n\u{9b}31m\x7f");
        });
        assert_eq!(
            lines.unwrap(),
            "ERROR t: é\\r\\n\\u{9b}31m\\u{7f} shown=a\\u{1b}[2Jb quoted=\"\\u{7}\\\"\\n\""
        );
    }

    #[test]
    fn what_only_looks_like_a_line_or_a_space_is_told_apart() {
        let lines = written(false, || {
            error!(target: "t", "Straße\u{2028}\u{a0}\u{3000}status=200\u{202e}\u{200b}\u{feff}");
        });
        assert_eq!(
            lines.unwrap(),
            "ERROR t: Straße\\u{2028}\\u{a0}\\u{3000}status=200\\u{202e}\\u{200b}\\u{feff}"
        );
    }

    #[test]
    fn levels_are_coloured_on_a_terminal() {
        let lines = written(true, || error!(target: "t", "fell"));
        assert_eq!(lines.unwrap(), "\x1b[31mERROR\x1b[0m t: fell");
    }
}
