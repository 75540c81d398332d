//! The one thread that writes `device.json`, a few seconds after the fact.
//!
//! Nobody waits for a note: a night's call-in notes half a dozen things of a device, and they are
//! one write.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::warn;

use super::device_dirs::DeviceDirs;
use super::disk::Disk;
use super::health::HealthFlag;
use super::reader::{DEVICE_FILE, StoreReader};
use crate::{DeviceId, DeviceObservation, DeviceRecord, StoreError};

pub(super) enum RecordCommand {
    Note(DeviceId, DeviceObservation, Timestamp),
    /// Write everything now, and say when it is done.
    Flush(SyncSender<()>),
}

pub(super) struct RecordWriter {
    pub(super) directories: Arc<DeviceDirs>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) health: Arc<HealthFlag>,
    pub(super) archive: StoreReader,
    pub(super) dirty: HashMap<DeviceId, DeviceRecord>,
}

impl RecordWriter {
    /// Works until every sender is gone, then writes what is left.
    pub(super) fn run(mut self, queue: &Receiver<RecordCommand>) {
        let mut written = Instant::now();
        loop {
            match queue.recv_timeout(DELAY) {
                Ok(RecordCommand::Note(device, note, at)) => self.apply(device, note, at),
                Ok(RecordCommand::Flush(done)) => {
                    self.write_all();
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.write_all(),
            }
            if written.elapsed() >= DELAY || self.dirty.len() >= MAX_DIRTY {
                self.write_all();
                written = Instant::now();
            }
        }
    }

    fn apply(&mut self, device: DeviceId, note: DeviceObservation, at: Timestamp) {
        if !self.dirty.contains_key(&device) {
            // Only a failing disk leaves so many dirty.
            if self.dirty.len() >= MAX_DIRTY {
                return;
            }
            let record = self
                .read(device)
                .unwrap_or_else(|| DeviceRecord::new(device, at));
            self.dirty.insert(device, record);
        }
        if let Some(record) = self.dirty.get_mut(&device) {
            record.apply(note, at);
        }
    }

    /// One that cannot be read is kept under another name, and begun anew.
    fn read(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.archive.show(device).unwrap_or_else(|error| {
            let path = self.directories.of(device).join(DEVICE_FILE);
            warn!(path = %path.display(), %error, "device record cannot be read; beginning a new one");
            if error.kind() == io::ErrorKind::InvalidData || error.kind() == io::ErrorKind::UnexpectedEof {
                let _ = fs_err::rename(&path, path.with_extension("json.unreadable"));
            }
            None
        })
    }

    fn write_all(&mut self) {
        let Self {
            directories,
            disk,
            health,
            dirty,
            ..
        } = self;
        dirty.retain(
            |device, record| match write(directories, &**disk, *device, record) {
                Ok(()) => {
                    health.recovered();
                    false
                }
                Err(error) => {
                    health.note(&error);
                    matches!(error, StoreError::Unavailable { .. })
                }
            },
        );
    }
}

fn write(
    directories: &DeviceDirs,
    disk: &dyn Disk,
    device: DeviceId,
    record: &DeviceRecord,
) -> Result<(), StoreError> {
    let path = directories.ensure(device)?.join(DEVICE_FILE);
    // For people to read.
    let mut text = serde_json::to_vec_pretty(record)
        .map_err(|error| StoreError::unavailable(&path, error.into()))?;
    text.push(b'\n');
    disk.replace(&path, &text)
        .map_err(|source| StoreError::unavailable(&path, source))
}

const DELAY: Duration = Duration::from_secs(2);

const MAX_DIRTY: usize = 1024;
