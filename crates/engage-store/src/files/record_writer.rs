//! The one thread that writes `device.json`, a few seconds after the fact.
//!
//! Nobody waits for an observation: half a dozen things are seen of a device in a night, and they
//! are one write.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::device_dirs::DeviceDirs;
use super::health::{HealthMonitor, Part};
use super::reader::{DEVICE_FILE, FileReader};
use super::regular::{is_damage, is_directory};
use crate::{DeviceId, DeviceObservation, DeviceRecord, StoreError};

pub(super) struct Observed {
    pub(super) device: DeviceId,
    pub(super) observation: DeviceObservation,
    pub(super) at: Timestamp,
}

pub(super) struct RecordWriter {
    dirs: Arc<DeviceDirs>,
    health: Arc<HealthMonitor>,
    reader: FileReader,
    dirty: HashMap<DeviceId, DeviceRecord>,
    /// Of devices of which nothing is stored, and perhaps never will be: serial numbers can be
    /// invented, and a call may break off.
    unstored: HashMap<DeviceId, DeviceRecord>,
}

impl RecordWriter {
    pub(super) fn new(health: Arc<HealthMonitor>) -> Self {
        Self {
            dirs: Arc::clone(&health.dirs),
            reader: FileReader::new(health.dirs.root()),
            health,
            dirty: HashMap::new(),
            unstored: HashMap::new(),
        }
    }

    /// Works until every sender is gone, then writes what is left.
    pub(super) fn run(mut self, queue: &Receiver<Observed>) {
        let mut written = Instant::now();
        loop {
            match queue.recv_timeout(DELAY) {
                Ok(observed) => self.apply(observed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.write_all(),
            }
            if written.elapsed() >= DELAY || self.dirty.len() >= MAX_RECORDS {
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
        if let Some(record) = self.dirty.get_mut(&device) {
            return record.apply(observation, at);
        }
        let is_stored = is_directory(&self.dirs.path(device));
        let record = self.unstored.remove(&device);
        let record = record.or_else(|| is_stored.then(|| self.read(device))?);
        let mut record = record.unwrap_or_else(|| DeviceRecord::new(device, at));
        record.apply(observation, at);
        let records = if is_stored {
            &mut self.dirty
        } else {
            &mut self.unstored
        };
        // Only a failing disk, or somebody who invents devices, leaves so many.
        if records.len() < MAX_RECORDS {
            records.insert(device, record);
        }
    }

    /// One that cannot be read is kept under another name, and begun anew.
    fn read(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.reader.record(device).unwrap_or_else(|error| {
            let path = self.dirs.path(device).join(DEVICE_FILE);
            warn!(path = %path.display(), %error, "device record cannot be read; beginning a new one");
            if is_damage(&error) {
                let _ = fs_err::rename(&path, path.with_extension("json.unreadable"));
            }
            None
        })
    }

    fn write_all(&mut self) {
        if self.dirs.owned().is_err() {
            return;
        }
        let now = Timestamp::now();
        let is_stored = |device: &DeviceId| is_directory(&self.dirs.path(*device));
        let stored = self.unstored.extract_if(|device, _| is_stored(device));
        self.dirty.extend(stored);
        self.unstored
            .retain(|_, record| now.duration_since(record.last_seen) < KEEP_UNSTORED);
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|device, record| match self.write(*device, record) {
            // A person removed the folder: what is only observed does not bring it back.
            Ok(Written::Nowhere) => false,
            Ok(Written::Durably) => {
                self.health.stored(*device, Part::Others);
                false
            }
            Err(error) => {
                self.health.failed(*device, Part::Others, &error);
                true
            }
        });
        self.dirty = dirty;
    }

    fn write(&self, device: DeviceId, record: &DeviceRecord) -> Result<Written, StoreError> {
        let directory = self.dirs.path(device);
        let path = directory.join(DEVICE_FILE);
        if !is_directory(&directory) {
            return Ok(Written::Nowhere);
        }
        // For people to read.
        let mut text = serde_json::to_vec_pretty(record)
            .map_err(|error| StoreError::unavailable(&path, error.into()))?;
        text.push(b'\n');
        self.dirs.replace(&path, &text)?;
        Ok(Written::Durably)
    }
}

enum Written {
    Durably,
    Nowhere,
}

const DELAY: Duration = Duration::from_secs(2);

/// A body that takes longer to arrive has met a deadline.
const KEEP_UNSTORED: SignedDuration = SignedDuration::from_mins(5);

const MAX_RECORDS: usize = 1024;
