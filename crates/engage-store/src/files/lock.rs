//! One process owns the directory.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::Path;

use fs_err::{File, OpenOptions};

use super::disk::mode;
use super::error::OpenError;

/// Held for as long as it lives, and given back by the operating system whatever ends it.
#[derive(Debug)]
pub(super) struct OwnerLock(#[expect(dead_code, reason = "closing it gives the lock back")] File);

impl OwnerLock {
    pub(super) fn acquire(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE_NAME);
        let unusable = |source| OpenError::unusable(&path, source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        mode::of_file(&mut options);
        let mut file = options.open(&path).map_err(unusable)?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path, &mut file)),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // For people only: what counts is the lock.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self(file))
    }
}

fn held(path: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    let _ = file.take(MAX_PID_CHARS).read_to_string(&mut text);
    OpenError::Held {
        path: path.to_owned(),
        pid: text.trim().parse().ok(),
    }
}

const FILE_NAME: &str = ".lock";

const MAX_PID_CHARS: u64 = 20;
