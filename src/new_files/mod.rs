//! Files that did not exist: written whole or not at all, and never over another.
//!
//! All of them are first written under hidden names beside their targets ([`FileStep::Stage`]), and
//! only then renamed ([`FileStep::Publish`]), every private key before its certificate. So a key that
//! is found without its certificate, but with that certificate still staged, is what an
//! interrupted run leaves, and `init` completes it. Renaming leaves no copy of a
//! key behind.

mod error;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::platform::{self, FileAccess};
use crate::staged_file::{folder, lock_folder, staged_path, sync_folder_of};
use engage_wire::pki::Certificate;
use engage_wire::{read_regular_file, replace_file};

pub(crate) use error::NewFileError;

/// A file to be written.
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    /// For people: what it holds.
    pub(crate) what: &'static str,
    contents: Zeroizing<Vec<u8>>,
    readers: Readers,
}

/// Who may read a new file.
#[derive(Clone)]
pub(crate) enum Readers {
    /// Everybody whom the umask lets: certificates that are announced, the configuration.
    Everybody,
    /// Its owner, never the daemon: the keys of the authorities.
    Owner,
    /// Its owner and the daemon: as this other file, or as the folder has it.
    Daemon(Option<FileAccess>),
}

impl NewFile {
    pub(crate) fn new(
        path: PathBuf,
        contents: impl Into<Zeroizing<Vec<u8>>>,
        what: &'static str,
        readers: Readers,
    ) -> Self {
        Self {
            path,
            what,
            contents: contents.into(),
            readers,
        }
    }

    /// A certificate in the form in which devices fetch it.
    pub(crate) fn certificate(path: &Path, certificate: &Certificate, what: &'static str) -> Self {
        let der = certificate.der().to_vec();
        Self::new(path.to_owned(), der, what, Readers::Everybody)
    }

    /// Whether the file exists with just these contents.
    pub(crate) fn is_in_place(&self) -> bool {
        let found = read_regular_file(self.what, &self.path, self.contents.len());
        found.is_ok_and(|found| *found == *self.contents)
    }
}

/// A new file or folder, and what it is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct CreatedEntry {
    path: String,
    what: String,
}

impl CreatedEntry {
    pub(crate) fn new(path: &Path, what: &'static str) -> Self {
        Self {
            path: path.display().to_string(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for CreatedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "made    {}  ({})", self.path, self.what)
    }
}

/// One step towards all files; the process may end after any of them.
#[derive(Clone, Copy)]
pub(crate) enum FileStep<'a> {
    /// Write it under its hidden name.
    Stage(&'a NewFile),
    /// Give it its own name.
    Publish(&'a NewFile),
}

/// What has to be done, in this order.
pub(crate) fn steps<'a>(
    files: impl Iterator<Item = &'a NewFile> + Clone,
) -> impl Iterator<Item = FileStep<'a>> {
    files
        .clone()
        .map(FileStep::Stage)
        .chain(files.map(FileStep::Publish))
}

/// Writes all files, or none: what was written before a failure is removed again.
pub(crate) fn write_all<'a>(
    files: impl Iterator<Item = &'a NewFile> + Clone,
) -> Result<(), NewFileError> {
    let mut published = Vec::new();
    for step in steps(files.clone()) {
        if let Err(error) = step.execute() {
            let staged = files.map(|file| staged_path(&file.path));
            for path in published.into_iter().rev().chain(staged) {
                let _ = fs_err::remove_file(path);
            }
            return Err(error);
        }
        if let FileStep::Publish(file) = step {
            published.push(file.path.clone());
        }
    }
    Ok(())
}

impl FileStep<'_> {
    pub(crate) fn execute(self) -> Result<(), NewFileError> {
        let (Self::Stage(file) | Self::Publish(file)) = self;
        match self {
            Self::Stage(_) => {
                let access = match &file.readers {
                    Readers::Everybody => FOR_EVERYBODY,
                    Readers::Owner | Readers::Daemon(_) => FOR_DAEMON,
                };
                create_dir(folder(&file.path), access)?;
                stage(file)
            }
            Self::Publish(_) => publish_staged(&file.path),
        }
        .map_err(NewFileError::new("write", &file.path))
    }
}

/// Puts a file in the place of the one of its name: at any moment it is the one or the other.
pub(crate) fn replace(file: &NewFile) -> Result<(), NewFileError> {
    remove_staged(&file.path);
    FileStep::Stage(file).execute()?;
    replace_file(&staged_path(&file.path), &file.path)
        .map_err(NewFileError::new("write", &file.path))?;
    sync_folder_of(&file.path);
    Ok(())
}

/// Makes a folder with all of `files` in it, or nothing: they lie in `folder`, which does not exist.
pub(crate) fn write_folder(folder: &Path, files: &[NewFile]) -> Result<(), NewFileError> {
    let staged = staged_path(folder);
    remove_dir_all(&staged)?;
    create_dir(&staged, FOR_DAEMON)?;
    let within = |file: &NewFile| {
        let path = file.path.strip_prefix(folder).unwrap_or(&file.path);
        NewFile {
            path: staged.join(path),
            what: file.what,
            contents: file.contents.clone(),
            readers: file.readers.clone(),
        }
    };
    let files: Vec<_> = files.iter().map(within).collect();
    write_all(files.iter())?;
    publish_staged(folder).map_err(NewFileError::new("write", folder))
}

/// Removes a folder with all that is in it: at any moment it is whole, or not there.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), NewFileError> {
    let staged = staged_path(folder);
    remove_dir_all(&staged)?;
    if exists(folder)? {
        fs_err::rename(folder, &staged).map_err(NewFileError::new("remove", folder))?;
        remove_dir_all(&staged)?;
    }
    Ok(())
}

/// Whether `path` exists. A folder that may not be looked into is a failure and not a "no".
pub(crate) fn exists(path: &Path) -> Result<bool, NewFileError> {
    path.try_exists()
        .map_err(NewFileError::new("look at", path))
}

fn remove_dir_all(path: &Path) -> Result<(), NewFileError> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NewFileError::new("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Keeps what `path` names under another name too, which is taken only if it was kept there before.
pub(crate) fn keep_as(path: &Path, kept: &Path) -> Result<(), NewFileError> {
    if exists(kept)? {
        return Ok(());
    }
    create_dir(folder(kept), FOR_DAEMON)?;
    // No second copy of a key, where the file system can do that.
    if fs_err::hard_link(path, kept).is_err() {
        let staged = staged_path(kept);
        let copied = fs_err::copy(path, &staged)
            .and_then(|_| FileAccess::from_path(path)?.apply(&staged))
            .and_then(|()| replace_file(&staged, kept));
        copied.map_err(NewFileError::new("write", kept))?;
    }
    sync_folder_of(kept);
    Ok(())
}

/// Renames the staged file of `path`; fails where `path` exists.
pub(crate) fn publish_staged(path: &Path) -> io::Result<()> {
    platform::rename_new(&staged_path(path), path)?;
    sync_folder_of(path);
    Ok(())
}

/// What a run that was killed left of `path` before it had its name.
///
/// 0.1.0 put sixteen random hexadecimal digits into such names.
pub(crate) fn staged_leftovers(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_ours = |hidden: &str| {
        let middle = hidden
            .strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(&*name))
            .and_then(|rest| rest.strip_suffix(".new"));
        middle.is_some_and(|middle| {
            middle.is_empty()
                || middle.strip_prefix('.').is_some_and(|random| {
                    random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
                })
        })
    };
    let Ok(entries) = fs_err::read_dir(folder(path)) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_ours(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes what is left of an earlier run; what cannot be removed stands in the way, and is told
/// then.
pub(crate) fn remove_staged(path: &Path) {
    for leftover in staged_leftovers(path) {
        let _ = fs_err::remove_file(leftover);
    }
}

/// Creates the folder of `config`, and keeps others that write there out of it until dropped.
pub(crate) fn lock_folder_of(config: &Path) -> Result<Option<File>, Failure> {
    let folder = folder(config);
    create_dir(folder, FOR_EVERYBODY)?;
    Ok(lock_folder(folder)?)
}

/// Creates the folder for what devices send; says whether it was missing.
pub(crate) fn create_data_dir(path: &Path) -> Result<bool, NewFileError> {
    let is_missing = !exists(path)?;
    create_dir(path, FOR_DAEMON_TO_WRITE)?;
    Ok(is_missing)
}

/// The permissions of a new folder: as created, and those of them that it has from the group above.
#[derive(Clone, Copy)]
struct DirAccess {
    mode: u32,
    group_bits: u32,
}

/// Creates a folder and those above it, each with the owner and the group of the one above it:
/// root makes them for a daemon that runs as somebody else. One that exists is left as it is.
fn create_dir(path: &Path, access: DirAccess) -> Result<(), NewFileError> {
    if exists(path)? {
        let is_dir = path.is_dir();
        return is_dir
            .then_some(())
            .ok_or_else(|| NewFileError::new("create", path)(io::ErrorKind::NotADirectory.into()));
    }
    if let Some(parent) = path.parent() {
        create_dir(parent, access)?;
    }
    platform::create_dir(path, access.mode)
        .and_then(|()| platform::inherit_access(path, access.group_bits))
        .map_err(NewFileError::new("create", path))
}

fn stage(file: &NewFile) -> io::Result<()> {
    let path = staged_path(&file.path);
    let mut staged = match &file.readers {
        Readers::Everybody => OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?,
        Readers::Owner | Readers::Daemon(_) => platform::create_private_file(&path)?,
    };
    staged.write_all(&file.contents)?;
    match &file.readers {
        Readers::Daemon(Some(like)) => like.apply(&path)?,
        Readers::Daemon(None) | Readers::Everybody => platform::inherit_access(&path, 0o040)?,
        Readers::Owner => platform::inherit_access(&path, 0)?,
    }
    staged.sync_all()?;
    sync_folder_of(&path);
    Ok(())
}

/// Everybody whom the umask lets.
const FOR_EVERYBODY: DirAccess = DirAccess {
    mode: 0o777,
    group_bits: 0o050,
};

/// Its owner, and the daemon to read.
const FOR_DAEMON: DirAccess = DirAccess {
    mode: 0o700,
    group_bits: 0o050,
};

/// Its owner, and the daemon to write.
const FOR_DAEMON_TO_WRITE: DirAccess = DirAccess {
    mode: 0o750,
    group_bits: 0o070,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, contents: &[u8]) -> NewFile {
        NewFile::new(path, contents.to_vec(), "test", Readers::Owner)
    }

    #[test]
    fn a_file_that_exists_is_kept_and_those_before_it_are_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let [first, taken] = ["first", "taken"].map(|name| folder.path().join(name));
        fs_err::write(&taken, "old").unwrap();
        let result = write_all([file(first.clone(), b"new"), file(taken.clone(), b"new")].iter());
        assert!(result.is_err());
        assert_eq!(fs_err::read(&taken).unwrap(), b"old");
        let left = fs_err::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only the old file is left");
    }

    #[test]
    fn folders_are_made_and_no_hidden_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pki/site.key");
        write_all([file(path.clone(), b"new")].iter()).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
