//! One process owns the directory.

use std::fs::TryLockError;
use std::io::{self, Seek, Write};
use std::path::Path;

use fs_err::{File, OpenOptions};

use crate::OpenError;
use crate::file_identity::{FileIdentity, look_up};
use crate::mode;
use crate::regular::{read_regular, require_regular};

/// Held for as long as it lives, and given back by the operating system whatever ends it.
///
/// The directory itself is locked where the operating system can do that: a lock file can be
/// removed, and a second process would lock another one of the same name. The lock goes with the
/// directory when that is moved: [`is_of`](Self::is_of) tells.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    pub(crate) identity: FileIdentity,
    #[expect(dead_code, reason = "closing it gives the lock back")]
    directory: Option<File>,
    #[expect(dead_code, reason = "closing it gives the lock back")]
    file: Option<File>,
}

impl OwnerLock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::unusable(path, source);
        let identity = look_up(path)
            .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(unusable)?;
        let directory = lock_directory(path)?;
        let file = match lock_file(path) {
            Err(OpenError::Unusable { .. }) if directory.is_some() => None,
            locked => Some(locked?),
        };
        let locked = match &directory {
            Some(directory) => FileIdentity::from_file(directory).map_err(unusable)?,
            None => identity,
        };
        let lock = Self {
            identity: locked,
            directory,
            file,
        };
        if locked == identity && lock.is_of(path) {
            return Ok(lock);
        }
        Err(unusable(io::Error::other("it was replaced meanwhile")))
    }

    /// Whether it is still this directory that the path names.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        look_up(path)
            .ok()
            .flatten()
            .is_some_and(|identity| identity == self.identity)
    }
}

/// Whether a process owns the directory.
pub(crate) fn is_owned(path: &Path) -> bool {
    let files = [File::open(path), File::open(path.join(FILE_NAME))];
    // Shared, so that those who look do not take each other for an owner.
    let mut attempts = files.iter().flatten().map(|it| it.file().try_lock_shared());
    attempts.any(|it| matches!(it, Err(TryLockError::WouldBlock)))
}

/// Windows opens no directories, and some network file systems lock none: there the file must do.
fn lock_directory(path: &Path) -> Result<Option<File>, OpenError> {
    // What is no directory is not opened: a pipe would wait for its writer.
    if !path.is_dir() {
        let source = io::ErrorKind::NotADirectory.into();
        return Err(OpenError::unusable(path, source));
    }
    let Ok(directory) = File::open(path) else {
        return Ok(None);
    };
    match directory.file().try_lock() {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => Err(held(path)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn lock_file(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(FILE_NAME);
    let unusable = |source| OpenError::unusable(&path, source);
    require_regular(&path).map_err(unusable)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    mode::of_file(&mut options);
    let mut file = options.open(&path).map_err(unusable)?;
    match file.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(directory)),
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    // For people only: what counts is the lock.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(file)
}

fn held(directory: &Path) -> OpenError {
    let text = read_regular("lock file", &directory.join(FILE_NAME), MAX_PID_BYTES);
    let text = text.ok().flatten().unwrap_or_default();
    OpenError::Held {
        directory: directory.to_owned(),
        pid: str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
    }
}

const FILE_NAME: &str = ".lock";

const MAX_PID_BYTES: usize = 32;
