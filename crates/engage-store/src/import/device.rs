//! One device's folder.

use std::io;
use std::path::Path;

use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::log::{OldLog, Position};
use crate::json_files::folder::{CONFIG_FILE, DEVICE_FILE, Folder};
use crate::json_files::line_reader::MAX_LINE_BYTES;
use crate::regular::read_regular;
use crate::{
    Database, DeviceId, DeviceRecord, DroppedDatabase, EventKind, MAX_DB_BYTES, Undelivered,
};

/// What is to be taken over of a device.
pub(crate) struct OldDevice {
    pub(crate) device: DeviceId,
    pub(crate) record: Option<DeviceRecord>,
    pub(crate) config: Option<Zeroizing<Vec<u8>>>,
    /// That it was sent.
    pub(crate) database: Option<OldDatabase>,
    pub(crate) logs: [OldLog; 2],
    pub(crate) undelivered: Option<Undelivered>,
    /// When the last upload was written, or else what was given up.
    pub(crate) written_at: Option<Timestamp>,
}

/// A database as it was dropped.
pub(crate) struct OldDatabase {
    pub(crate) database: Database,
    pub(crate) file: Zeroizing<Vec<u8>>,
    pub(crate) written_at: Timestamp,
}

/// How far the webhook was.
#[derive(Default, Deserialize)]
struct WebhookCursor {
    alerts: Option<Position>,
    audits: Option<Position>,
}

impl OldDevice {
    /// Reads what is small, and looks through the events. What is left out is told.
    pub(crate) fn read(
        root: &Path,
        device: DeviceId,
        left_out: &mut Vec<String>,
    ) -> io::Result<Self> {
        let folder = Folder::find(root, device)?.ok_or(io::ErrorKind::NotFound)?;
        let cursor: Option<WebhookCursor> = json(&folder, WEBHOOK_FILE, MAX_SMALL_BYTES, left_out);
        let cursor = cursor.unwrap_or_default();
        let delivered = |kind| match kind {
            EventKind::Alerts => cursor.alerts.as_ref(),
            EventKind::Audits => cursor.audits.as_ref(),
        };
        let [audits, alerts] =
            EventKind::ALL.map(|kind| OldLog::read(&folder, kind, delivered(kind), left_out));
        Ok(Self {
            device,
            record: json(&folder, DEVICE_FILE, MAX_SMALL_BYTES, left_out),
            config: contents(&folder, CONFIG_FILE, MAX_CONFIG_BYTES, left_out),
            database: database(root, device, &folder, left_out),
            logs: [audits?, alerts?],
            undelivered: json(&folder, UNDELIVERED_FILE, 8 * MAX_LINE_BYTES, left_out),
            written_at: [CONFIG_FILE, UNDELIVERED_FILE]
                .into_iter()
                .find_map(|name| written_at(&folder, name)),
        })
    }
}

impl OldDevice {
    /// Whether every file of events could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.logs.iter().all(|log| log.is_whole)
    }
}

/// What was dropped; the last good one where that is bad. What was taken away is sent no more.
fn database(
    root: &Path,
    device: DeviceId,
    folder: &Folder,
    left_out: &mut Vec<String>,
) -> Option<OldDatabase> {
    match DroppedDatabase::read(root, device) {
        DroppedDatabase::Good { file, database } => Some(OldDatabase {
            database,
            file,
            written_at: written_at(folder, DATABASE_FILE)?,
        }),
        DroppedDatabase::Nothing => None,
        DroppedDatabase::Refused { .. } => {
            let file = contents(folder, LAST_GOOD_FILE, MAX_DB_BYTES, left_out)?;
            let database = Database::parse(&file).ok()?;
            Some(OldDatabase {
                database,
                file,
                written_at: written_at(folder, LAST_GOOD_FILE)?,
            })
        }
    }
}

fn written_at(folder: &Folder, name: &str) -> Option<Timestamp> {
    let metadata = fs_err::symlink_metadata(folder.path(name)).ok()?;
    metadata.modified().ok()?.try_into().ok()
}

fn json<T: DeserializeOwned>(
    folder: &Folder,
    name: &str,
    max_bytes: usize,
    left_out: &mut Vec<String>,
) -> Option<T> {
    let text = contents(folder, name, max_bytes, left_out)?;
    serde_json::from_slice(&text)
        .inspect_err(|error| {
            let path = folder.path(name);
            left_out.push(format!("`{}` is left out: {error}", path.display()));
        })
        .ok()
}

fn contents(
    folder: &Folder,
    name: &str,
    max_bytes: usize,
    left_out: &mut Vec<String>,
) -> Option<Zeroizing<Vec<u8>>> {
    let path = folder.path(name);
    read_regular("record of a device", &path, max_bytes)
        .inspect_err(|error| {
            left_out.push(format!(
                "`{}` is left out: {}",
                path.display(),
                causes(error)
            ));
        })
        .ok()
        .flatten()
}

pub(crate) const DATABASE_FILE: &str = "db.json";
const LAST_GOOD_FILE: &str = ".db-last-good.json";
pub(crate) const UNDELIVERED_FILE: &str = ".webhook-undelivered.json";
pub(crate) const WEBHOOK_FILE: &str = ".webhook.json";

const MAX_SMALL_BYTES: usize = 1024 * 1024;

/// More than any `[limits] body_bytes` that is of use.
const MAX_CONFIG_BYTES: usize = 256 * 1024 * 1024;
