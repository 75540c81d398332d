//! Files that did not exist: written whole or not at all, and never over another.

use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use zeroize::Zeroizing;

use super::error::InitError;
use super::layout::folder;
use crate::platform;
use engage_wire::pki::issue::random_bytes;

/// A file to be written.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    /// For people: what it holds.
    pub(super) what: &'static str,
    contents: Zeroizing<Vec<u8>>,
    is_private: bool,
}

impl NewFile {
    /// Readable only by its owner, in a folder that only its owner can enter.
    pub(super) fn private(path: PathBuf, contents: Zeroizing<Vec<u8>>, what: &'static str) -> Self {
        Self {
            path,
            what,
            contents,
            is_private: true,
        }
    }

    /// Readable by everybody whom the umask lets.
    pub(super) fn public(path: PathBuf, contents: Vec<u8>, what: &'static str) -> Self {
        Self {
            path,
            what,
            contents: Zeroizing::new(contents),
            is_private: false,
        }
    }
}

/// Writes all files, or none: what was written before a failure is removed again, because half
/// of a key pair would stand in the way of the next attempt.
pub(super) fn write_all(files: &[NewFile]) -> Result<(), InitError> {
    for (at, file) in files.iter().enumerate() {
        if let Err(source) = create_folder_of(file).and_then(|()| write(file)) {
            for written in files[..at].iter().rev() {
                let _ = fs_err::remove_file(&written.path);
            }
            return Err(InitError::file("write", &file.path, source));
        }
    }
    Ok(())
}

/// Creates a folder that is not there yet; says whether it was missing.
pub(super) fn create_dir(path: &Path) -> Result<bool, InitError> {
    let is_missing = !super::layout::exists(path)?;
    fs_err::create_dir_all(path).map_err(|source| InitError::file("create", path, source))?;
    Ok(is_missing)
}

/// The same for what devices send, which is not for everybody.
pub(super) fn create_data_dir(path: &Path) -> Result<bool, InitError> {
    let is_missing = !super::layout::exists(path)?;
    platform::create_guarded_dir(path).map_err(|source| InitError::file("create", path, source))?;
    Ok(is_missing)
}

/// Holds off another `init` in the same folder until dropped: two that interleave could build on
/// each other's unfinished work.
///
/// The folder itself is locked, which leaves no file behind. Where folders cannot be opened or
/// locked, there is no lock, and still nothing is ever overwritten.
pub(super) fn lock_folder(folder: &Path) -> Result<Option<File>, InitError> {
    create_dir(folder)?;
    let Ok(handle) = File::open(folder) else {
        return Ok(None);
    };
    match handle.file().try_lock() {
        Ok(()) => Ok(Some(handle)),
        Err(TryLockError::WouldBlock) => Err(InitError::Busy {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn create_folder_of(file: &NewFile) -> io::Result<()> {
    let folder = folder(&file.path);
    if file.is_private {
        platform::create_private_dir(folder)
    } else {
        fs_err::create_dir_all(folder)
    }
}

/// Writes under a temporary name, and publishes by a hard link, which fails where the name is
/// taken; renaming would overwrite. A crash or a full disk leaves no half file under a name that
/// counts.
fn write(file: &NewFile) -> io::Result<()> {
    let temporary = temporary_beside(&file.path)?;
    let published = fill(&temporary, file).and_then(|()| publish(&temporary, &file.path));
    let _ = fs_err::remove_file(&temporary);
    published?;
    // Makes the name itself durable; where folders cannot be opened, nothing can be done.
    if let Ok(folder) = File::open(folder(&file.path)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn fill(temporary: &Path, file: &NewFile) -> io::Result<()> {
    let mut target = if file.is_private {
        platform::create_private_file(temporary)?
    } else {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(temporary)?
    };
    target.write_all(&file.contents)?;
    target.sync_all()
}

fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs_err::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links (FAT, some shared folders): the name was free a
        // moment ago, and is looked at once more.
        Err(_) if path.symlink_metadata().is_err() => fs_err::rename(temporary, path),
        linked => linked,
    }
}

/// Hidden, and not ending in `.der`: such a file can never be served.
fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let random = random_bytes::<8>().map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{:016x}.new", u64::from_ne_bytes(*random))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, contents: &[u8]) -> NewFile {
        NewFile::private(path, Zeroizing::new(contents.to_vec()), "test")
    }

    #[test]
    fn a_file_that_exists_is_kept_and_those_before_it_are_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let [first, taken] = ["first", "taken"].map(|name| folder.path().join(name));
        fs_err::write(&taken, "old").unwrap();
        let result = write_all(&[file(first.clone(), b"new"), file(taken.clone(), b"new")]);
        assert!(result.is_err());
        assert_eq!(fs_err::read(&taken).unwrap(), b"old");
        let left = fs_err::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only the old file is left");
    }

    #[test]
    fn folders_are_made_and_no_temporary_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pki/site.key");
        write_all(&[file(path.clone(), b"new")]).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
