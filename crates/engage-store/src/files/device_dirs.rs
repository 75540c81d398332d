//! One directory for each device, created when it is first needed.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::Disk;
use crate::{DeviceId, StoreError};

/// The directories that are there, and durably so.
pub(super) struct DeviceDirs {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// A few dozen bytes for each device.
    durable: Mutex<HashSet<DeviceId>>,
}

impl DeviceDirs {
    /// Takes over those that exist.
    pub(super) fn open(root: &Path, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let durable = existing(root)?.into_iter().collect();
        disk.sync_dir(root)?;
        Ok(Self {
            root: root.to_owned(),
            disk,
            durable: Mutex::new(durable),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn of(&self, device: DeviceId) -> PathBuf {
        self.root.join(device.to_string())
    }

    /// The device's directory, created if need be, its own entry durable.
    pub(super) fn ensure(&self, device: DeviceId) -> Result<PathBuf, StoreError> {
        let path = self.of(device);
        let failed = |source| StoreError::unavailable(&path, source);
        let is_known = {
            let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            if !durable.contains(&device) && durable.len() >= MAX_DEVICES {
                let allowed = MAX_DEVICES;
                return Err(StoreError::TooManyDevices { device, allowed });
            }
            durable.contains(&device)
        };
        // Looked at each time: people remove directories.
        if !is_known || !path.is_dir() {
            self.disk.create_dir(&path).map_err(failed)?;
            self.disk.sync_dir(&self.root).map_err(failed)?;
            let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            durable.insert(device);
        }
        Ok(path)
    }
}

/// The devices that have a directory, by name.
pub(super) fn existing(root: &Path) -> io::Result<Vec<DeviceId>> {
    let mut devices = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let entry = entry?;
        if let Some(device) = device_of(&entry.file_name().to_string_lossy())
            && entry.file_type()?.is_dir()
        {
            devices.push(device);
        }
    }
    devices.sort();
    Ok(devices)
}

/// Only the canonical name is a device's.
fn device_of(name: &str) -> Option<DeviceId> {
    let device: DeviceId = name.parse().ok()?;
    (device.to_string() == name).then_some(device)
}

/// Serial numbers can be invented, and each would be a directory.
const MAX_DEVICES: usize = 250_000;
