//! One device's folder: files that grow, and files that are replaced.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use engage_wire::replace_file;
use fs_err::{File, OpenOptions};

use super::month::Month;
use crate::regular::require_regular;
use crate::{DeviceId, EventKind, mode};

/// A folder that is there, itself and not through a link.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// `None` if nothing stands there.
    pub(crate) fn find(root: &Path, device: DeviceId) -> io::Result<Option<Self>> {
        let path = root.join(device.to_string());
        match fs_err::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => Ok(Some(Self { path })),
            Ok(_) => {
                let reason = format!("`{}` is not a folder", path.display());
                Err(io::Error::new(io::ErrorKind::NotADirectory, reason))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Not its parents: a directory that was moved away is not made anew.
    pub(crate) fn create(root: &Path, device: DeviceId) -> io::Result<Self> {
        let path = root.join(device.to_string());
        mode::create_one_dir(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The monthly files of one kind, oldest first.
    pub(crate) fn months(&self, kind: EventKind) -> io::Result<Vec<Month>> {
        let names = self.names()?;
        let months = names.iter().map(|name| Month::from_file_name(kind, name));
        let mut months: Vec<_> = months.flatten().collect();
        months.sort();
        Ok(months)
    }

    /// Whether it holds files of the kinds that are written here.
    pub(crate) fn holds_copies(&self) -> io::Result<bool> {
        Ok(self.names()?.iter().any(|name| is_copy(name)))
    }

    /// Removes those files, and the folder if nothing else is in it.
    pub(crate) fn remove_copies(&self) -> io::Result<()> {
        for name in self.names()?.iter().filter(|name| is_copy(name)) {
            self.remove(name)?;
        }
        match fs_err::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }

    /// The length of a regular file; `None` if nothing has that name.
    pub(crate) fn len(&self, name: &str) -> io::Result<Option<u64>> {
        let path = self.path(name);
        require_regular(&path)?;
        match fs_err::symlink_metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Cuts a file to `len`, and opens it there.
    pub(crate) fn open_at(&self, name: &str, len: u64) -> io::Result<File> {
        let path = self.path(name);
        require_regular(&path)?;
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        mode::of_file(&mut options);
        let file = options.open(path)?;
        if file.metadata()?.len() > len {
            file.set_len(len)?;
        }
        Ok(file)
    }

    /// Replaces a file as one step.
    pub(crate) fn replace(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let (path, beside) = (self.path(name), self.path(&format!(".{name}.tmp")));
        replace(&path, &beside, contents, sync_file)
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs_err::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs_err::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
}

/// Replaces a file as one step: it is written `beside` its place, and `sync` makes it durable there.
pub(super) fn replace(
    path: &Path,
    beside: &Path,
    contents: &[u8],
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    require_regular(path)?;
    require_regular(beside)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    mode::of_file(&mut options);
    let mut file = options.open(beside)?;
    file.write_all(contents)?;
    sync(&file)?;
    // Windows renames no file that is open.
    drop(file);
    replace_file(beside, path)
}

fn is_copy(name: &str) -> bool {
    let mut kinds = EventKind::ALL.into_iter();
    [DEVICE_FILE, CONFIG_FILE].contains(&name)
        || kinds.any(|kind| Month::from_file_name(kind, name).is_some())
}

/// Makes everything durable that was written below `root` before: one commit of the file system
/// instead of one for each file.
#[cfg(target_os = "linux")]
pub(crate) fn sync_all(root: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(root)?.file()).map_err(io::Error::from)
}

/// Each file was made durable when it was written.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_all(_root: &Path) -> io::Result<()> {
    Ok(())
}

/// Where [`sync_all`] cannot do it for all files at once.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    if cfg!(target_os = "linux") {
        return Ok(());
    }
    file.sync_data()
}

pub(crate) const DEVICE_FILE: &str = "device.json";
pub(crate) const CONFIG_FILE: &str = "config.json";
