//! How far a subscriber is with a device's events.
//!
//! Kept in the device's own directory: it goes where the files go to which it points, and a
//! removed device leaves none behind.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::disk::Disk;
use super::regular::{is_damage, is_directory, read_regular};
use crate::{BatchId, Cursor, EventKind, Subscriber};

/// The last event of each kind that was taken; `None` before the first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct FileCursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audits: Option<Position>,
}

/// A line of a monthly file.
///
/// The offsets alone would not do: the store cuts off what it could not make durable, and what it
/// then writes in its place must not be taken for delivered. So the line is named too.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Position {
    /// The name of the file, which sorts by month.
    pub(super) file: String,
    /// Where the line begins, in bytes.
    pub(super) start: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// The batch of the event.
    pub(super) batch: BatchId,
    /// Its line in the batch.
    pub(super) line: usize,
}

impl FileCursor {
    /// One that is damaged, or no file, counts as none: to deliver twice is allowed, to lose is not.
    pub(super) fn load(subscriber: Subscriber, directory: &Path) -> io::Result<Self> {
        let path = path(subscriber, directory);
        let damage = match read_regular("cursor", &path, MAX_BYTES) {
            Ok(None) => return Ok(Self::default()),
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(cursor) => return Ok(cursor),
                Err(error) => error.into(),
            },
            Err(error) if is_damage(&error) => error,
            Err(error) => return Err(error),
        };
        let path = path.display();
        warn!(%path, error = %damage, "cursor `{path}` is damaged: delivering the device's events again");
        Ok(Self::default())
    }

    /// Replaces the file in one step, durably. A device whose directory is gone needs none.
    pub(super) fn save(
        &self,
        subscriber: Subscriber,
        directory: &Path,
        disk: &dyn Disk,
    ) -> io::Result<()> {
        if !is_directory(directory) {
            return Ok(());
        }
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        disk.replace(&path(subscriber, directory), &text)
    }

    pub(super) fn position(&self, kind: EventKind) -> Option<&Position> {
        match kind {
            EventKind::Alerts => self.alerts.as_ref(),
            EventKind::Audits => self.audits.as_ref(),
        }
    }

    pub(super) fn advance(&mut self, kind: EventKind, to: Position) {
        match kind {
            EventKind::Alerts => self.alerts = Some(to),
            EventKind::Audits => self.audits = Some(to),
        }
    }
}

impl From<&FileCursor> for Cursor {
    fn from(cursor: &FileCursor) -> Self {
        Self(serde_json::to_string(cursor).unwrap_or_default())
    }
}

impl From<&Cursor> for FileCursor {
    /// The beginning where it is not one of ours.
    fn from(cursor: &Cursor) -> Self {
        serde_json::from_str(&cursor.0).unwrap_or_default()
    }
}

fn path(subscriber: Subscriber, directory: &Path) -> PathBuf {
    directory.join(match subscriber {
        Subscriber::Webhook => ".webhook.json",
    })
}

/// Two positions have some 400.
const MAX_BYTES: usize = 16 * 1024;
