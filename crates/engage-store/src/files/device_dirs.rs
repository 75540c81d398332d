//! One directory for each device, created when it is first needed.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::disk::Disk;
use super::quarantine::FOLDER as QUARANTINE;
use crate::quota::DeviceQuota;
use crate::{Call, DeviceId, SerialNumber, StoreError, StoreWarning};

/// The directories that are there, and durably so.
pub(super) struct DeviceDirs {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    known: Mutex<Known>,
}

struct Known {
    /// A few dozen bytes for each device.
    devices: HashSet<DeviceId>,
    quota: DeviceQuota,
}

impl DeviceDirs {
    /// Takes over those that exist.
    pub(super) fn open(root: &Path, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let devices = existing(root)?.into_iter().collect();
        disk.sync_dir(root)?;
        let known = Known {
            devices,
            quota: DeviceQuota::default(),
        };
        Ok(Self {
            root: root.to_owned(),
            disk,
            known: Mutex::new(known),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, device: DeviceId) -> PathBuf {
        self.root.join(device.to_string())
    }

    /// The caller's directory, created if need be, its own entry durable.
    pub(super) fn ensure(&self, call: &Call) -> Result<PathBuf, StoreError> {
        let path = self.path(call.device);
        let is_known = {
            let mut known = self.known.lock();
            let is_known = known.devices.contains(&call.device);
            if !is_known {
                let count = known.devices.len();
                known.quota.admit(call, count, Instant::now())?;
            }
            is_known
        };
        // Looked at each time: people remove directories.
        if !is_known || !path.is_dir() {
            let created = self.disk.create_dir(&path);
            created
                .and_then(|()| self.disk.sync_dir(&self.root))
                .map_err(|source| StoreError::unavailable(&path, source))?;
            self.known.lock().devices.insert(call.device);
        }
        Ok(path)
    }

    /// The devices that have a directory.
    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.known.lock().devices.iter().copied().collect()
    }

    pub(super) fn warning(&self) -> Option<StoreWarning> {
        DeviceQuota::warning(self.known.lock().devices.len())
    }
}

/// The devices that have a directory, by name.
pub(super) fn existing(root: &Path) -> io::Result<Vec<DeviceId>> {
    let mut devices: Vec<_> = directories(root)?
        .iter()
        .filter_map(|name| device_of(name))
        .collect();
    devices.sort();
    Ok(devices)
}

/// Directories that nobody reads: made for a device under another spelling of its name, or for
/// something that is no device.
pub(super) fn strays(root: &Path) -> io::Result<Vec<StoreWarning>> {
    let names = match directories(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let strays = names
        .iter()
        .filter(|name| device_of(name).is_none() && *name != QUARANTINE && !name.starts_with('.'))
        .take(MAX_STRAYS)
        .map(|name| StoreWarning::Stray(stray(&root.join(name), name)));
    Ok(strays.collect())
}

fn stray(path: &Path, name: &str) -> String {
    let device = name
        .parse()
        .ok()
        .or_else(|| SerialNumber::parse(name).map(DeviceId::Serial));
    let path = path.display();
    match device {
        Some(device) => format!(
            "folder `{path}` is not read; the folder of this device is `{device}`: rename it, or move its db.json there"
        ),
        None => format!(
            "folder `{path}` is not read; a device's folder is its serial number in 16 or 32 upper-case hexadecimal digits, or `addr-` and its address"
        ),
    }
}

fn directories(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let entry = entry?;
        // One that has gone meanwhile is none.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Only the canonical name is a device's.
fn device_of(name: &str) -> Option<DeviceId> {
    let device: DeviceId = name.parse().ok()?;
    (device.to_string() == name).then_some(device)
}

/// A person who made more of them needs no more examples.
const MAX_STRAYS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_and_strange_folders_are_told_and_ours_are_not() {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "0123456789ABCDEF",
            "addr-10.44.0.7",
            "quarantine",
            ".tmp",
            "fedcba9876543210",
            "ASNFZ4mrze8=",
            "lobby",
        ] {
            fs_err::create_dir(root.path().join(name)).unwrap();
        }
        assert_eq!(existing(root.path()).unwrap().len(), 2);
        let told: Vec<_> = strays(root.path())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].contains("this device is `0123456789ABCDEF`"),
            "{}",
            told[0]
        );
        assert!(
            told[1].contains("this device is `FEDCBA9876543210`"),
            "{}",
            told[1]
        );
        assert!(
            told[2].contains("lobby` is not read; a device's folder is"),
            "{}",
            told[2]
        );
    }
}
