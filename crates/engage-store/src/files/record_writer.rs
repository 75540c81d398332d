//! The one thread that writes `device.json`, a few seconds after the fact.
//!
//! Nobody waits for an observation: half a dozen things are seen of a device in a night, and they
//! are one write.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, warn};

use super::device_dirs::DeviceDirs;
use super::disk::Disk;
use super::health::HealthMonitor;
use super::reader::{DEVICE_FILE, StoreReader};
use crate::{Call, DeviceId, DeviceObservation, DeviceRecord, StoreError};

pub(super) struct Observed {
    pub(super) device: DeviceId,
    pub(super) observation: DeviceObservation,
    pub(super) at: Timestamp,
}

pub(super) struct RecordWriter {
    pub(super) dirs: Arc<DeviceDirs>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) health: Arc<HealthMonitor>,
    pub(super) reader: StoreReader,
    pub(super) dirty: HashMap<DeviceId, DeviceRecord>,
}

impl RecordWriter {
    /// Works until every sender is gone, then writes what is left.
    pub(super) fn run(mut self, queue: &Receiver<Observed>) {
        let mut written = Instant::now();
        loop {
            match queue.recv_timeout(DELAY) {
                Ok(observed) => self.apply(observed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.write_all(),
            }
            if written.elapsed() >= DELAY || self.dirty.len() >= MAX_DIRTY {
                self.write_all();
                written = Instant::now();
            }
        }
    }

    fn apply(&mut self, observed: Observed) {
        let Observed {
            device,
            observation,
            at,
        } = observed;
        if !self.dirty.contains_key(&device) {
            // Only a failing disk leaves so many unwritten.
            if self.dirty.len() >= MAX_DIRTY || !self.is_welcome(device, &observation, at) {
                return;
            }
            let record = self
                .read(device)
                .unwrap_or_else(|| DeviceRecord::new(device, at));
            self.dirty.insert(device, record);
        }
        if let Some(record) = self.dirty.get_mut(&device) {
            record.apply(observation, at);
        }
    }

    /// Whether there is a record of the device, or one may begin: serial numbers can be invented.
    fn is_welcome(&self, device: DeviceId, seen: &DeviceObservation, at: Timestamp) -> bool {
        if self.dirs.path(device).is_dir() {
            return true;
        }
        let DeviceObservation::Seen {
            address,
            is_authenticated,
            ..
        } = *seen
        else {
            return false;
        };
        let call = Call {
            device,
            peer: address,
            is_authenticated,
            received_at: at,
        };
        match self.dirs.ensure(&call) {
            Ok(_) => true,
            Err(error) => {
                debug!(%device, %error, "no record of device {device} is begun");
                if matches!(error, StoreError::Unavailable { .. }) {
                    self.note_failure(device, &error);
                }
                false
            }
        }
    }

    /// One that cannot be read is kept under another name, and begun anew.
    fn read(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.reader.record(device).unwrap_or_else(|error| {
            let path = self.dirs.path(device).join(DEVICE_FILE);
            warn!(path = %path.display(), %error, "device record cannot be read; beginning a new one");
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
                let _ = fs_err::rename(&path, path.with_extension("json.unreadable"));
            }
            None
        })
    }

    fn write_all(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|device, record| match self.write(*device, record) {
            // A person removed the folder: what is only observed does not bring it back.
            Ok(Written::Nowhere) => false,
            Ok(Written::Durably) => {
                self.health.stored(*device);
                false
            }
            Err(error) => {
                self.note_failure(*device, &error);
                true
            }
        });
        self.dirty = dirty;
    }

    fn write(&self, device: DeviceId, record: &DeviceRecord) -> Result<Written, StoreError> {
        let directory = self.dirs.path(device);
        let path = directory.join(DEVICE_FILE);
        if !directory.is_dir() {
            return Ok(Written::Nowhere);
        }
        // For people to read.
        let mut text = serde_json::to_vec_pretty(record)
            .map_err(|error| StoreError::unavailable(&path, error.into()))?;
        text.push(b'\n');
        self.disk
            .replace(&path, &text)
            .map_err(|source| StoreError::unavailable(&path, source))?;
        Ok(Written::Durably)
    }

    fn note_failure(&self, device: DeviceId, error: &StoreError) {
        self.health
            .failed(device, error, self.dirs.root(), &*self.disk);
    }
}

enum Written {
    Durably,
    Nowhere,
}

const DELAY: Duration = Duration::from_secs(2);

const MAX_DIRTY: usize = 1024;
