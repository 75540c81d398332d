//! The read side: works beside a daemon that owns the directory, and without one.

use std::io;
use std::path::{Path, PathBuf};

use super::device_dirs::{existing, strays};
use super::follower::FileFollower;
use super::regular::read_regular;
use super::undelivered;
use crate::{DeviceId, DeviceRecord, EventFilter, StoreWarning, Subscriber, Undelivered, redact};

/// What the files say, to anybody who may read them.
#[derive(Clone, Debug)]
pub(crate) struct FileReader {
    root: PathBuf,
}

impl FileReader {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            root: directory.to_owned(),
        }
    }

    pub(crate) fn devices(&self) -> io::Result<Vec<DeviceId>> {
        match existing(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            devices => devices,
        }
    }

    pub(crate) fn has_device(&self, device: DeviceId) -> bool {
        self.root.join(device.to_string()).is_dir()
    }

    pub(crate) fn record(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        let path = self.root.join(device.to_string()).join(DEVICE_FILE);
        let text = read_regular("device record", &path, MAX_RECORD_BYTES)?;
        Ok(text.map(|text| serde_json::from_slice(&text)).transpose()?)
    }

    pub(crate) fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        let path = self.root.join(device.to_string()).join(CONFIG_FILE);
        let text = read_regular("parameter upload", &path, MAX_CONFIG_BYTES)?;
        Ok(text.map(|text| redact(&text)))
    }

    pub(crate) fn follow(&self, filter: EventFilter) -> FileFollower {
        FileFollower::new(&self.root, filter)
    }

    pub(crate) fn undelivered(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> io::Result<Undelivered> {
        undelivered::load(subscriber, &self.root.join(device.to_string()))
    }

    pub(crate) fn warnings(&self) -> io::Result<Vec<StoreWarning>> {
        strays(&self.root)
    }
}

pub(super) const DEVICE_FILE: &str = "device.json";
pub(super) const CONFIG_FILE: &str = "config.json";

/// A thousand times what is known of a device.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// More than any `[limits] body_bytes` that is of use.
const MAX_CONFIG_BYTES: usize = 256 * 1024 * 1024;
