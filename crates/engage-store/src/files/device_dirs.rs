//! One directory for each device, created when it is first needed.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::warn;

use super::disk::{Disk, mode};
use super::lock::OwnerLock;
use super::quarantine::FOLDER as QUARANTINE;
use super::regular::is_directory;
use crate::quota::DeviceQuota;
use crate::{Call, DeviceId, OpenError, SerialNumber, StoreError, StoreWarning};

/// The directory that this process owns, and those of devices in it that are there, and durably so.
pub(super) struct DeviceDirs {
    root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// Of the directory that stood at `root` when it was last looked at.
    lock: Mutex<Arc<OwnerLock>>,
    known: Mutex<Known>,
}

struct Known {
    /// A few dozen bytes for each device.
    devices: HashSet<DeviceId>,
    quota: DeviceQuota,
}

impl DeviceDirs {
    /// Takes the directory over, which is made if need be, and the devices in it.
    pub(super) fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::unusable(root, source);
        mode::create_dir(root, true).map_err(unusable)?;
        let lock = OwnerLock::acquire(root)?;
        let known = Known {
            devices: existing(root).map_err(unusable)?.into_iter().collect(),
            quota: DeviceQuota::default(),
        };
        disk.sync_dir(root).map_err(unusable)?;
        Ok(Self {
            root: root.to_owned(),
            disk,
            lock: Mutex::new(Arc::new(lock)),
            known: Mutex::new(known),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, device: DeviceId) -> PathBuf {
        self.root.join(device.to_string())
    }

    /// The lock of the directory that stands there now. To be held while something is written, and
    /// [looked at](Self::confirm) before that is acknowledged.
    ///
    /// People move, remove and restore directories under a daemon, and a lock goes with what it
    /// locks. Whatever stands there instead is taken over, if no other process has it; one that is
    /// gone is not made anew: it may come back, and would then find another in its place.
    pub(super) fn owned(&self) -> Result<Arc<OwnerLock>, StoreError> {
        let mut lock = self.lock.lock();
        if !lock.is_of(&self.root) {
            let taken = OwnerLock::acquire(&self.root).map_err(|error| self.not_owned(error))?;
            let devices = existing(&self.root);
            let devices = devices.map_err(|source| StoreError::unavailable(&self.root, source))?;
            self.known.lock().devices = devices.into_iter().collect();
            *lock = Arc::new(taken);
            warn!(path = %self.root.display(), "another directory stands at `{}`: what devices deliver is stored there from now on", self.root.display());
        }
        Ok(Arc::clone(&lock))
    }

    /// Fails if another directory stands there by now: what was written is in neither for certain.
    pub(super) fn confirm(&self, lock: &OwnerLock) -> Result<(), StoreError> {
        if lock.is_of(&self.root) {
            return Ok(());
        }
        Err(self.not_owned(OpenError::unusable(
            &self.root,
            io::ErrorKind::NotFound.into(),
        )))
    }

    /// Does what writes into the directory, and vouches for it only if it was ours all the time.
    pub(super) fn writing<T>(
        &self,
        write: impl FnOnce(&OwnerLock) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lock = self.owned()?;
        let written = write(&lock)?;
        self.confirm(&lock)?;
        Ok(written)
    }

    /// Replaces a file in it as one step, durably.
    pub(super) fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
        self.writing(|_| {
            let replaced = self.disk.replace(path, contents);
            replaced.map_err(|source| StoreError::unavailable(path, source))
        })
    }

    fn not_owned(&self, error: OpenError) -> StoreError {
        match error {
            OpenError::Unusable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                StoreError::Unavailable {
                    place: format!("`{}`", self.root.display()),
                    source: Arc::new(io::Error::new(
                        source.kind(),
                        "the directory was moved or removed under the daemon",
                    )),
                    hint: "move it back, or make an empty one to begin anew; a restart makes one too",
                }
            }
            OpenError::Unusable { source, .. } => StoreError::unavailable(&self.root, source),
            held => StoreError::Unavailable {
                place: format!("`{}`", self.root.display()),
                source: Arc::new(held),
                hint: "stop the other engage-host: its directory is used as soon as it has ended",
            },
        }
    }

    /// The caller's directory, created if need be, its own entry durable.
    pub(super) fn ensure(&self, call: &Call) -> Result<PathBuf, StoreError> {
        self.owned()?;
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
        if !is_known || !is_directory(&path) {
            let created = self.disk.create_dir(&path).and_then(|()| {
                // It would lead out of the directory that is ours.
                if !is_directory(&path) {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                self.disk.sync_dir(&self.root)
            });
            let mut known = self.known.lock();
            if let Err(source) = created {
                if !is_known {
                    known.quota.give_back(call);
                }
                return Err(StoreError::unavailable(&path, source));
            }
            known.devices.insert(call.device);
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
    let entries = match entries(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_folder_of_ours = |name: &str| device_of(name).is_some() || name == QUARANTINE;
    let is_ours = |(name, is_folder): &&(String, bool)| match is_folder {
        _ if name.starts_with('.') => true,
        true => is_folder_of_ours(name),
        false => name == README || name.starts_with(DATABASE_FILE),
    };
    let strays = entries
        .iter()
        .filter(|entry| !is_ours(entry))
        .take(MAX_STRAYS)
        .map(|(name, is_folder)| StoreWarning::Stray(stray(&root.join(name), name, *is_folder)));
    Ok(strays.collect())
}

fn stray(path: &Path, name: &str, is_folder: bool) -> String {
    let of_device = |name: &str| {
        let device = name.parse().ok();
        device.or_else(|| SerialNumber::parse(name).map(DeviceId::Serial))
    };
    let name_of_file = name.split_once('.').map_or(name, |(before, _)| before);
    let device = of_device(if is_folder { name } else { name_of_file });
    let path = path.display();
    match device {
        Some(device) if !is_folder => format!(
            "file `{path}` is not read; a database for this device is `{device}/db.json`: move it there"
        ),
        None if !is_folder => {
            format!("file `{path}` is not read; what concerns a device lies in a folder of its own")
        }
        Some(device) => format!(
            "folder `{path}` is not read; the folder of this device is `{device}`: rename it, or move its db.json there"
        ),
        None => format!(
            "folder `{path}` is not read; a device's folder is its serial number in 16 or 32 upper-case hexadecimal digits, or `addr-` and its address"
        ),
    }
}

fn directories(root: &Path) -> io::Result<Vec<String>> {
    let folders = entries(root)?.into_iter();
    Ok(folders
        .filter_map(|(name, is_folder)| is_folder.then_some(name))
        .collect())
}

/// Names, and which of them are folders. One that has gone meanwhile is none.
fn entries(root: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let entry = entry?;
        if let Ok(kind) = entry.file_type() {
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push((name, kind.is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Only the canonical name is a device's.
fn device_of(name: &str) -> Option<DeviceId> {
    let device: DeviceId = name.parse().ok()?;
    (device.to_string() == name).then_some(device)
}

/// What a checkout of engage-host has there says what the directory is for.
const README: &str = "README.md";

/// With SQLite's `-wal` and `-shm`.
const DATABASE_FILE: &str = "engage-host.db";

/// A person who made more of them needs no more examples.
const MAX_STRAYS: usize = 16;

#[cfg(test)]
mod tests {
    use engage_wire::diagnostic::hint;

    use super::*;
    use crate::files::disk::RealDisk;

    fn call(number: u32) -> Call {
        Call {
            device: format!("{number:016X}").parse().unwrap(),
            peer: "10.44.0.7".parse().unwrap(),
            is_authenticated: false,
            received_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_not_counted_as_a_new_device() {
        let root = tempfile::tempdir().unwrap();
        let dirs = DeviceDirs::open(root.path(), Arc::new(RealDisk)).unwrap();
        let first = call(0);
        fs_err::write(dirs.path(first.device), "in its way").unwrap();
        for _ in 0..1000 {
            let refused = dirs.ensure(&first).unwrap_err();
            assert!(
                matches!(refused, StoreError::Unavailable { .. }),
                "{refused}"
            );
        }
        let made = (1..1000).take_while(|number| dirs.ensure(&call(*number)).is_ok());
        assert_eq!(made.count(), 500);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_is_no_folder_of_a_device() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dirs = DeviceDirs::open(root.path(), Arc::new(RealDisk)).unwrap();
        let call = call(1);
        std::os::unix::fs::symlink(elsewhere.path(), dirs.path(call.device)).unwrap();
        let refused = dirs.ensure(&call).unwrap_err();
        assert!(
            hint(&refused).starts_with("what stands there is not of the store"),
            "{refused}"
        );
    }

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
        for name in ["0123456789abcdef.json", "zz.txt", ".clock", "README.md"] {
            fs_err::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(existing(root.path()).unwrap().len(), 2);
        let mut told: Vec<_> = strays(root.path())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 5, "{told:?}");
        let database = told.remove(0);
        assert!(
            database.ends_with("is `0123456789ABCDEF/db.json`: move it there"),
            "{database}"
        );
        assert!(told[3].contains("zz.txt` is not read"), "{told:?}");
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
