//! The events of a device in one order.

use std::io::{self, BufReader};

use fs_err::File;

use super::event::OldEvent;
use super::log::{OldFile, OldLog, open};
use crate::EventKind;
use crate::json_files::line_reader::{Entry, LineReader};

/// Audits and alerts, each kind in its order, and between the kinds by time. What was delivered to
/// the webhook comes first, so that one number says how far that is.
pub(crate) struct Merge<'a> {
    lines: [LogLines<'a>; 2],
    next: [Option<OldLine>; 2],
}

/// An event, and where it belongs.
pub(crate) struct OldLine {
    pub(crate) kind: EventKind,
    pub(crate) event: OldEvent,
    /// In the month of its file, and not before what stands before it, in microseconds since 1970.
    pub(crate) filed_at: i64,
    pub(crate) is_delivered: bool,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(logs: &'a [OldLog; 2]) -> io::Result<Self> {
        let mut lines = logs.each_ref().map(LogLines::new);
        let next = [lines[0].next()?, lines[1].next()?];
        Ok(Self { lines, next })
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<OldLine>> {
        let key = |line: &OldLine| (!line.is_delivered, line.filed_at);
        let first = match self.next.each_ref().map(|it| it.as_ref().map(key)) {
            [Some(one), Some(other)] => usize::from(other < one),
            [Some(_), None] => 0,
            _ => 1,
        };
        let following = self.lines[first].next()?;
        Ok(std::mem::replace(&mut self.next[first], following))
    }
}

struct LogLines<'a> {
    log: &'a OldLog,
    /// Those that were not begun.
    files: std::slice::Iter<'a, OldFile>,
    reading: Option<(&'a OldFile, LineReader<BufReader<File>>)>,
    filed_at: i64,
}

impl<'a> LogLines<'a> {
    fn new(log: &'a OldLog) -> Self {
        Self {
            log,
            files: log.files.iter(),
            reading: None,
            filed_at: i64::MIN,
        }
    }

    /// The next event; lines that are none were told before.
    fn next(&mut self) -> io::Result<Option<OldLine>> {
        loop {
            let Some((file, lines)) = &mut self.reading else {
                let Some(file) = self.files.next() else {
                    return Ok(None);
                };
                self.reading = Some((file, open(&file.path)?));
                continue;
            };
            let entry = if lines.offset() < file.end {
                lines.next()?
            } else {
                None
            };
            let event = match entry {
                Some(Entry::Line(text)) => OldEvent::parse(text),
                Some(Entry::Overlong | Entry::Unfinished) => None,
                None => {
                    self.reading = None;
                    continue;
                }
            };
            let Some(event) = event else { continue };
            let micros = file.month.micros();
            let received_at = event.event.received_at.as_microsecond();
            self.filed_at = received_at
                .max(self.filed_at)
                .clamp(micros.start, micros.end - 1);
            return Ok(Some(OldLine {
                kind: self.log.kind,
                event,
                filed_at: self.filed_at,
                is_delivered: lines.offset() <= file.delivered_to,
            }));
        }
    }
}
