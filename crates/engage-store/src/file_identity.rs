//! Which file a name stands for: people remove files and put others in their place.

use std::fs::Metadata;
use std::io;
use std::path::Path;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Of a file that is open.
    pub(crate) fn of(file: &fs_err::File) -> io::Result<Self> {
        Ok(identity(&file.metadata()?))
    }
}

/// The file that a path names now; `None` if there is none.
pub(crate) fn look_up(path: &Path) -> io::Result<Option<FileIdentity>> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some(identity(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> FileIdentity {
    use std::os::unix::fs::MetadataExt;

    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// Elsewhere an open file cannot be removed or replaced.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: 0,
        inode: 0,
    }
}
