//! One process owns the directory.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::Path;

use fs_err::{File, OpenOptions};

use super::disk::mode;
use crate::OpenError;

/// Held for as long as it lives, and given back by the operating system whatever ends it.
///
/// The directory itself is locked where the operating system can do that: a lock file can be
/// removed, and a second process would lock another one of the same name.
#[derive(Debug)]
pub(super) struct OwnerLock {
    #[expect(dead_code, reason = "closing it gives the lock back")]
    directory: Option<File>,
    #[expect(dead_code, reason = "closing it gives the lock back")]
    file: File,
}

impl OwnerLock {
    pub(super) fn acquire(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE_NAME);
        let unusable = |source| OpenError::unusable(&path, source);
        let locked_directory = lock_directory(directory)?;
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
        Ok(Self {
            directory: locked_directory,
            file,
        })
    }
}

/// Windows opens no directories, and some network file systems lock none: there the file must do.
fn lock_directory(path: &Path) -> Result<Option<File>, OpenError> {
    let Ok(directory) = File::open(path) else {
        return Ok(None);
    };
    match directory.file().try_lock() {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => Err(held(path)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn held(directory: &Path) -> OpenError {
    let mut text = String::new();
    if let Ok(file) = File::open(directory.join(FILE_NAME)) {
        let _ = file.take(MAX_PID_CHARS).read_to_string(&mut text);
    }
    OpenError::Held {
        directory: directory.to_owned(),
        pid: text.trim().parse().ok(),
    }
}

const FILE_NAME: &str = ".lock";

const MAX_PID_CHARS: u64 = 20;
