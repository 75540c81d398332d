//! The log of events over files: what follows a cursor in a device's monthly files.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::{error, warn};

use super::cursor::{FileCursor, Position};
use super::event_reader::{Entry, EventReader};
use super::line::LineHeader;
use super::month::{Month, months};
use super::store::FileStore;
use super::undelivered::set_aside;
use crate::{
    AppendedDevices, BatchLimit, Cursor, DeviceId, EventBatch, EventKind, EventLog, LoggedEvent,
    PendingDevice, StoreError, Subscriber,
};

#[async_trait]
impl EventLog for FileStore {
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices) {
        self.shared.subscribers.add(subscriber, appended);
    }

    async fn load_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Cursor, StoreError> {
        self.blocking(move |shared| {
            let directory = shared.dirs.path(device);
            let cursor = FileCursor::load(subscriber, &directory);
            let cursor = cursor.map_err(|source| StoreError::unavailable(&directory, source))?;
            Ok(Cursor::from(&cursor))
        })
        .await
    }

    async fn next_batch(
        &self,
        device: DeviceId,
        cursor: &Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        let cursor = cursor.clone();
        self.blocking(move |shared| {
            let directory = shared.dirs.path(device);
            next_batch(&directory, &cursor, limit)
                .map_err(|source| StoreError::unavailable(&directory, source))
        })
        .await
    }

    async fn commit_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        cursor: &Cursor,
    ) -> Result<(), StoreError> {
        let cursor = FileCursor::from(cursor);
        self.blocking(move |shared| {
            let (directory, disk) = (shared.dirs.path(device), &*shared.dirs.disk);
            shared.dirs.writing(|_| {
                let saved = cursor.save(subscriber, &directory, disk);
                saved.map_err(|source| StoreError::unavailable(&directory, source))
            })
        })
        .await
    }

    async fn set_aside(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (batch, reason) = (batch.clone(), reason.to_owned());
        let cursor = FileCursor::from(&batch.cursor);
        self.blocking(move |shared| {
            let (directory, disk) = (shared.dirs.path(device), &*shared.dirs.disk);
            shared.dirs.writing(|_| {
                // Before the cursor: a crash in between repeats the attempt, and loses nothing.
                set_aside(subscriber, &directory, &batch, &reason, disk)
                    .and_then(|()| cursor.save(subscriber, &directory, disk))
                    .map_err(|source| StoreError::unavailable(&directory, source))
            })
        })
        .await
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        self.blocking(move |shared| {
            let devices = shared.dirs.devices().into_iter();
            Ok(devices
                .filter_map(|device| pending(&shared.dirs.path(device), subscriber, device))
                .collect())
        })
        .await
    }
}

/// A device whose files cannot be read is logged and left out: it must not hide the others.
fn pending(directory: &Path, subscriber: Subscriber, device: DeviceId) -> Option<PendingDevice> {
    let oldest =
        FileCursor::load(subscriber, directory).and_then(|cursor| oldest(directory, &cursor));
    let oldest = oldest.unwrap_or_else(|error| {
        warn!(%device, %error, "failed to look for undelivered events");
        None
    });
    oldest.map(|oldest| PendingDevice { device, oldest })
}

/// The next events of a device: in order for each kind, and between the kinds by when they arrived.
fn next_batch(
    directory: &Path,
    cursor: &Cursor,
    limit: BatchLimit,
) -> io::Result<Option<EventBatch>> {
    let mut cursor = FileCursor::from(cursor);
    let read = |kind| events(directory, kind, cursor.position(kind), limit);
    let (audits, alerts) = (read(EventKind::Audits)?, read(EventKind::Alerts)?);
    let first = |events: &[Found]| events.first().map(|found| found.event.received_at);
    let (kind, mut events, other) = match (first(&audits), first(&alerts)) {
        (Some(audit), Some(alert)) if alert < audit => (EventKind::Alerts, alerts, Some(audit)),
        (Some(_), alert) => (EventKind::Audits, audits, alert),
        (None, _) => (EventKind::Alerts, alerts, None),
    };
    let before_other = events
        .iter()
        .take_while(|found| other.is_none_or(|other| found.event.received_at <= other))
        .count();
    // The clock may have been set back within a file; the first always goes.
    events.truncate(before_other.max(1));
    let Some(last) = events.last() else {
        return Ok(None);
    };
    cursor.advance(kind, last.position.clone());
    Ok(Some(EventBatch {
        kind,
        cursor: Cursor::from(&cursor),
        events: events.into_iter().map(|found| found.event).collect(),
    }))
}

/// When the first event after a cursor arrived; `None` if there is none.
fn oldest(directory: &Path, cursor: &FileCursor) -> io::Result<Option<Timestamp>> {
    let limit = BatchLimit {
        events: 1,
        bytes: 0,
    };
    let mut oldest: Option<Timestamp> = None;
    for kind in EventKind::ALL {
        let found = events(directory, kind, cursor.position(kind), limit)?;
        let at = found.first().map(|found| found.event.received_at);
        oldest = [oldest, at].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// The number of events of one monthly file that follow a cursor.
pub(super) fn count_after(
    directory: &Path,
    kind: EventKind,
    month: Month,
    cursor: &FileCursor,
) -> io::Result<u64> {
    let file = month.file_name(kind);
    let position = cursor.position(kind);
    if position.is_some_and(|position| position.file > file) {
        return Ok(0);
    }
    let from = position.filter(|position| position.file == file);
    let mut reader = MonthReader::open(directory, &file, from)?;
    let mut count = 0;
    while reader.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// An event, and where it stands.
struct Found {
    event: LoggedEvent,
    position: Position,
    ends_batch: bool,
}

fn events(
    directory: &Path,
    kind: EventKind,
    from: Option<&Position>,
    limit: BatchLimit,
) -> io::Result<Vec<Found>> {
    let mut events = Vec::new();
    let mut bytes = 0;
    for (month, _) in months(directory, kind)? {
        let file = month.file_name(kind);
        if from.is_some_and(|from| file < from.file) {
            continue;
        }
        let from = from.filter(|from| from.file == file);
        let mut reader = match MonthReader::open(directory, &file, from) {
            Ok(reader) => reader,
            // Retention, or a person, was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        while let Some(found) = reader.next()? {
            bytes += found.event.text.len();
            events.push(found);
            if events.len() >= limit.events || bytes >= limit.bytes {
                return Ok(events);
            }
        }
    }
    // The end of the newest file: of a batch that is being written, nothing was acknowledged yet.
    let whole = events.iter().rposition(|found| found.ends_batch);
    events.truncate(whole.map_or(0, |last| last + 1));
    Ok(events)
}

/// One monthly file, from a position on.
struct MonthReader<'a> {
    file: &'a str,
    reader: EventReader,
}

impl<'a> MonthReader<'a> {
    fn open(directory: &Path, file: &'a str, from: Option<&Position>) -> io::Result<Self> {
        let mut month = Self {
            file,
            reader: EventReader::open(&directory.join(file), 0)?,
        };
        if let Some(from) = from {
            month.resume(from)?;
        }
        Ok(month)
    }

    /// Goes behind the line of `from`, wherever it is now.
    fn resume(&mut self, from: &Position) -> io::Result<()> {
        let is_it =
            |found: &Found| (found.position.batch, found.position.line) == (from.batch, from.line);
        self.reader.seek(from.start)?;
        // In the wrong place, whatever stands there may be half a line.
        if let Some(Entry::Line(text)) = self.reader.next()?
            && LineHeader::parse(text)
                .is_some_and(|header| (header.batch, header.line) == (from.batch, from.line))
        {
            return Ok(());
        }
        self.reader.seek(0)?;
        while let Some(found) = self.next()? {
            if is_it(&found) {
                return Ok(());
            }
        }
        warn!(
            path = %self.reader.path().display(),
            "the last delivered event is not in its file any more; delivering the month again"
        );
        self.reader.seek(0)
    }

    /// The next event; lines that are none are passed over.
    fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            let start = self.reader.offset();
            let text = match self.reader.next()? {
                Some(Entry::Line(text)) => text.to_owned(),
                Some(Entry::Overlong) => Vec::new(),
                Some(Entry::Unfinished) | None => return Ok(None),
            };
            if let Some(header) = LineHeader::parse(&text) {
                return Ok(Some(self.found(header, start, text)));
            }
            error!(
                path = %self.reader.path().display(),
                offset = start,
                "a stored line is not an event and cannot be delivered"
            );
        }
    }

    fn found(&self, header: LineHeader, start: u64, text: Vec<u8>) -> Found {
        Found {
            position: Position {
                file: self.file.to_owned(),
                start,
                end: self.reader.offset(),
                batch: header.batch,
                line: header.line,
            },
            ends_batch: header.is_last(),
            event: LoggedEvent {
                received_at: header.received_at,
                text,
            },
        }
    }
}
