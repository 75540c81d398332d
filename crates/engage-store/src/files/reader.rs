//! The read side: works beside a daemon that owns the directory, and without one.

use std::io;
use std::path::{Path, PathBuf};

use super::device_dirs::{existing, strays};
use super::follower::{EventFilter, EventFollower};
use super::regular::read_regular;
use super::undelivered::Undelivered;
use crate::{DeviceId, DeviceRecord, StoreWarning, Subscriber, redact};

/// What a store has recorded, to be read by anybody who may.
#[derive(Clone, Debug)]
pub struct StoreReader {
    root: PathBuf,
}

impl StoreReader {
    /// Reads what is stored in `[devices] directory`, which need not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self {
            root: directory.to_owned(),
        }
    }

    /// The devices that have records, by name.
    pub fn devices(&self) -> io::Result<Vec<DeviceId>> {
        match existing(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            devices => devices,
        }
    }

    /// Whether there are records of a device.
    pub fn has_device(&self, device: DeviceId) -> bool {
        self.root.join(device.to_string()).is_dir()
    }

    /// What is known of a device.
    pub fn record(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        let path = self.root.join(device.to_string()).join(DEVICE_FILE);
        let text = read_regular("device record", &path, MAX_RECORD_BYTES)?;
        Ok(text.map(|text| serde_json::from_slice(&text)).transpose()?)
    }

    /// A device's last upload, with secret values replaced.
    pub fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        let path = self.root.join(device.to_string()).join(CONFIG_FILE);
        let text = read_regular("parameter upload", &path, MAX_CONFIG_BYTES)?;
        Ok(text.map(|text| redact(&text)))
    }

    /// The events that a filter lets through, now and later.
    pub fn follow(&self, filter: EventFilter) -> EventFollower {
        EventFollower::new(&self.root, filter)
    }

    /// The events of a device that a subscriber gave up.
    pub fn undelivered(&self, subscriber: Subscriber, device: DeviceId) -> io::Result<Undelivered> {
        Undelivered::load(subscriber, &self.root.join(device.to_string()))
    }

    /// Folders that look like a device's and are not read.
    pub fn warnings(&self) -> io::Result<Vec<StoreWarning>> {
        strays(&self.root)
    }
}

pub(super) const DEVICE_FILE: &str = "device.json";
pub(super) const CONFIG_FILE: &str = "config.json";

/// A thousand times what is known of a device.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// More than any `[limits] body_bytes` that is of use.
const MAX_CONFIG_BYTES: usize = 256 * 1024 * 1024;
