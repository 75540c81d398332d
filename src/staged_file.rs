//! A file is written under a hidden name beside its own, and then renamed; and one writer at a time has
//! the folder locked.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use fs_err::File;
use miette::Diagnostic;

use engage_wire::sync_folder;

/// Hidden, and not ending in `.der`: such a file can never be served.
pub(crate) fn staged_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes the names beside a file durable; where folders cannot be opened, nothing can be done.
pub(crate) fn sync_folder_of(path: &Path) {
    let _ = sync_folder(folder(path));
}

/// The folder of a file.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// Keeps another command out of a folder until dropped: two that interleave could build on each other's
/// unfinished work, or lose what the other has written.
///
/// The folder itself is locked, which leaves no file behind. Where folders cannot be opened or locked,
/// there is no lock.
pub(crate) fn lock_folder(folder: &Path) -> Result<Option<File>, FolderBusy> {
    let Ok(handle) = File::open(folder) else {
        return Ok(None);
    };
    match handle.file().try_lock() {
        Ok(()) => Ok(Some(handle)),
        Err(TryLockError::WouldBlock) => Err(FolderBusy {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Another command works there.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("another `engage-host` command is at work in `{}`", folder.display())]
#[diagnostic(code("busy"), help("wait for it, then run this again"))]
pub(crate) struct FolderBusy {
    folder: PathBuf,
}
