//! Events that a subscriber gave up, in the device's own directory, as its cursor is.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tracing::warn;

use super::disk::Disk;
use super::regular::{is_damage, read_regular};
use crate::record::MAX_LINE_BYTES;
use crate::{EventBatch, Subscriber, Undelivered};

/// What was set aside of the device whose directory it is.
pub(super) fn load(subscriber: Subscriber, directory: &Path) -> io::Result<Undelivered> {
    let path = path(subscriber, directory);
    match read_regular("list of undelivered events", &path, MAX_FILE_BYTES)? {
        Some(text) => Ok(serde_json::from_slice(&text)?),
        None => Ok(Undelivered::default()),
    }
}

/// Adds a batch to what was set aside. A list that is damaged begins anew: the events themselves
/// stand in the monthly files.
pub(super) fn set_aside(
    subscriber: Subscriber,
    directory: &Path,
    batch: &EventBatch,
    reason: &str,
    disk: &dyn Disk,
) -> io::Result<()> {
    let mut undelivered = match load(subscriber, directory) {
        Err(error) if is_damage(&error) => {
            let path = path(subscriber, directory);
            warn!(%error, "`{}` is damaged: it begins anew", path.display());
            Undelivered::default()
        }
        loaded => loaded?,
    };
    undelivered.add(batch, reason, Timestamp::now());
    let mut text = serde_json::to_vec(&undelivered)?;
    text.push(b'\n');
    disk.replace(&path(subscriber, directory), &text)
}

fn path(subscriber: Subscriber, directory: &Path) -> PathBuf {
    directory.join(match subscriber {
        Subscriber::Webhook => ".webhook-undelivered.json",
    })
}

/// That, or one event of the longest, with its names.
const MAX_FILE_BYTES: usize = 8 * MAX_LINE_BYTES;
