//! How far a device's events are delivered, durably.
//!
//! Kept in the device's own directory, as `.webhook.json`: it goes where the files go to which it
//! points, and a removed device leaves none behind.

use std::io::{self, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use serde::{Deserialize, Serialize};
use tracing::warn;

use engage_store::EventKind;

/// The last event of each log that was answered 2xx; `None` before the first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Cursor {
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
    pub(super) batch: String,
    /// Its line in the batch.
    pub(super) line: usize,
}

impl Cursor {
    /// One that cannot be read counts as none: to deliver twice is allowed, to lose is not.
    pub(super) fn load(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE_NAME);
        match fs_err::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
                let path = path.display();
                warn!(%path, %error, "webhook cursor `{path}` is damaged: delivering the device's events again");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file in one step, durably. A device whose directory is gone needs none.
    pub(super) fn save(&self, directory: &Path) -> io::Result<()> {
        if !directory.is_dir() {
            return Ok(());
        }
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let mut options = AtomicWriteFile::options();
        only_for_owner_and_group(&mut options);
        let mut file = options.open(directory.join(FILE_NAME))?;
        file.write_all(&text)?;
        file.commit()
    }

    pub(super) fn of(&self, log: EventKind) -> Option<&Position> {
        match log {
            EventKind::Alerts => self.alerts.as_ref(),
            EventKind::Audits => self.audits.as_ref(),
        }
    }

    pub(super) fn advance(&mut self, log: EventKind, to: Position) {
        match log {
            EventKind::Alerts => self.alerts = Some(to),
            EventKind::Audits => self.audits = Some(to),
        }
    }
}

#[cfg(unix)]
fn only_for_owner_and_group(options: &mut atomic_write_file::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;

    use atomic_write_file::unix::OpenOptionsExt as _;

    options.preserve_mode(false).mode(0o640);
}

#[cfg(not(unix))]
fn only_for_owner_and_group(_options: &mut atomic_write_file::OpenOptions) {}

const FILE_NAME: &str = ".webhook.json";
