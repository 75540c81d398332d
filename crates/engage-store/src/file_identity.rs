//! Which file a name stands for: people remove files and put others in their place.

use std::io;
use std::path::Path;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileIdentity {
    /// The device or volume that it is on.
    device: u64,
    /// Its inode, or what Windows calls its index.
    number: u64,
}

impl FileIdentity {
    /// Of a file that is open.
    #[cfg(unix)]
    pub(crate) fn from_file(file: &fs_err::File) -> io::Result<Self> {
        Ok(file.metadata()?.into())
    }

    /// Of a file that is open.
    #[cfg(windows)]
    pub(crate) fn from_file(file: &fs_err::File) -> io::Result<Self> {
        Ok(winapi_util::file::information(file.file())?.into())
    }
}

/// The file that a path names now; `None` if there is none.
pub(crate) fn look_up(path: &Path) -> io::Result<Option<FileIdentity>> {
    #[cfg(unix)]
    let found = fs_err::metadata(path);
    #[cfg(windows)]
    let found = winapi_util::Handle::from_path_any(path).and_then(winapi_util::file::information);
    match found {
        Ok(found) => Ok(Some(found.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
impl From<std::fs::Metadata> for FileIdentity {
    fn from(metadata: std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self {
            device: metadata.dev(),
            number: metadata.ino(),
        }
    }
}

#[cfg(windows)]
impl From<winapi_util::file::Information> for FileIdentity {
    fn from(information: winapi_util::file::Information) -> Self {
        Self {
            device: information.volume_serial_number(),
            number: information.file_index(),
        }
    }
}
