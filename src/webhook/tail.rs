//! Reads what follows the cursor in a device's monthly files.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err::File;
use jiff::Timestamp;
use serde::Deserialize;
use tracing::{error, warn};

use super::cursor::{Cursor, Position};
use engage_store::EventKind;

/// Events of one log that go out together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) log: EventKind,
    /// Not empty, in the order of the file.
    pub(super) events: Vec<Event>,
}

/// A stored line that is to be delivered.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) received_at: Timestamp,
    /// The line as it is stored, without its newline: one JSON object.
    pub(super) text: Vec<u8>,
    pub(super) position: Position,
    ends_batch: bool,
}

/// The next events of a device: in order in each log, and between its logs by when they arrived.
pub(super) fn next(directory: &Path, cursor: &Cursor) -> io::Result<Option<Batch>> {
    let read = |log| events(directory, log, cursor.of(log), MAX_EVENTS);
    let (audits, alerts) = (read(EventKind::Audits)?, read(EventKind::Alerts)?);
    let first = |events: &[Event]| events.first().map(|event| event.received_at);
    let (log, mut events, other) = match (first(&audits), first(&alerts)) {
        (Some(audit), Some(alert)) if alert < audit => (EventKind::Alerts, alerts, Some(audit)),
        (Some(_), alert) => (EventKind::Audits, audits, alert),
        (None, _) => (EventKind::Alerts, alerts, None),
    };
    let before_other = events
        .iter()
        .take_while(|event| other.is_none_or(|other| event.received_at <= other))
        .count();
    // The clock may have been set back within a file; the first always goes.
    events.truncate(before_other.max(1));
    Ok((!events.is_empty()).then_some(Batch { log, events }))
}

/// When the oldest undelivered event of a device arrived; `None` if there is none.
pub(super) fn oldest(directory: &Path, cursor: &Cursor) -> io::Result<Option<Timestamp>> {
    let mut oldest = None;
    for log in [EventKind::Audits, EventKind::Alerts] {
        let first = events(directory, log, cursor.of(log), 1)?
            .into_iter()
            .next();
        let at = first.map(|event| event.received_at);
        oldest = match (oldest, at) {
            (Some(one), Some(other)) => Some(std::cmp::min(one, other)),
            (one, other) => one.or(other),
        };
    }
    Ok(oldest)
}

fn events(
    directory: &Path,
    log: EventKind,
    from: Option<&Position>,
    most: usize,
) -> io::Result<Vec<Event>> {
    let mut files = months(directory, log)?;
    files.retain(|file| from.is_none_or(|from| *file >= from.file));
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(file) = files.pop_front() {
        let from = from.filter(|from| from.file == file);
        let mut reader = match MonthReader::open(&directory.join(&file), &file, from) {
            Ok(reader) => reader,
            // Retention, or a person, was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        while let Some(event) = reader.next()? {
            bytes += event.text.len();
            events.push(event);
            if events.len() == most || bytes >= MAX_BYTES {
                return Ok(events);
            }
        }
    }
    // The end of the newest file: of a batch that is being written, nothing was acknowledged yet.
    let whole = events.iter().rposition(|event| event.ends_batch);
    events.truncate(whole.map_or(0, |last| last + 1));
    Ok(events)
}

/// One monthly file, from a position on.
struct MonthReader<'a> {
    file: &'a str,
    lines: BufReader<File>,
    offset: u64,
}

impl<'a> MonthReader<'a> {
    fn open(path: &Path, file: &'a str, from: Option<&Position>) -> io::Result<Self> {
        let mut reader = Self {
            file,
            lines: BufReader::new(File::open(path)?),
            offset: 0,
        };
        if let Some(from) = from {
            reader.resume(from)?;
        }
        Ok(reader)
    }

    /// Goes behind the line of `from`, wherever it is now.
    fn resume(&mut self, from: &Position) -> io::Result<()> {
        self.seek(from.start)?;
        let is_it =
            |event: &Event| event.position.batch == from.batch && event.position.line == from.line;
        // In the wrong place, whatever stands there may be half a line.
        if let Ok(Some((text, end))) = self.line()
            && let Some(event) = self.event(text, end)
            && is_it(&event)
        {
            self.offset = end;
            return Ok(());
        }
        self.seek(0)?;
        while let Some(event) = self.next()? {
            if is_it(&event) {
                return Ok(());
            }
        }
        warn!(
            file = self.file,
            "the last delivered event is not in its file any more; delivering the month again"
        );
        self.seek(0)
    }

    /// The next event; lines that are none are passed over.
    fn next(&mut self) -> io::Result<Option<Event>> {
        while let Some((text, end)) = self.line()? {
            let event = self.event(text, end);
            let start = std::mem::replace(&mut self.offset, end);
            if event.is_some() {
                return Ok(event);
            }
            error!(
                file = self.file,
                offset = start,
                "a stored line is not an event and cannot be delivered"
            );
        }
        Ok(None)
    }

    /// The line at the current offset, and where it ends; `None` at the end of the file.
    fn line(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let mut text = Vec::new();
        let length = (&mut self.lines)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut text)? as u64;
        if text.pop() != Some(b'\n') {
            if length == MAX_LINE_BYTES {
                let message = format!("line at byte {} is over {length} bytes", self.offset);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            return Ok(None);
        }
        Ok(Some((text, self.offset + length)))
    }

    fn event(&self, text: Vec<u8>, end: u64) -> Option<Event> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            received_at: Timestamp,
            #[serde(borrow)]
            batch: Cow<'a, str>,
            line: usize,
            of: usize,
        }
        let fields: Fields<'_> = serde_json::from_slice(&text).ok()?;
        let position = Position {
            file: self.file.to_owned(),
            start: self.offset,
            end,
            batch: fields.batch.into_owned(),
            line: fields.line,
        };
        Some(Event {
            received_at: fields.received_at,
            ends_batch: fields.line == fields.of,
            text,
            position,
        })
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.offset = offset;
        self.lines.seek(SeekFrom::Start(offset)).map(drop)
    }
}

/// The names of a device's files of one log, oldest first.
fn months(directory: &Path, log: EventKind) -> io::Result<VecDeque<String>> {
    let entries = match fs_err::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        entries => entries?,
    };
    let mut months = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && is_month_of(log, &name)
        {
            months.push(name);
        }
    }
    months.sort();
    Ok(months.into())
}

fn is_month_of(log: EventKind, name: &str) -> bool {
    let prefix = match log {
        EventKind::Alerts => "alerts-",
        EventKind::Audits => "audits-",
    };
    name.strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(".jsonl"))
        .is_some_and(|month| {
            month.len() == "2026-11".len()
                && month.bytes().enumerate().all(|(at, byte)| match at {
                    4 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
        })
}

/// The most events of one delivery.
pub(super) const MAX_EVENTS: usize = 100;

/// A delivery ends with the event that reaches this.
const MAX_BYTES: usize = 1024 * 1024;

/// Several times what a device can send in one body.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
