//! The file system, as far as the store writes to it: a seam for tests that inject faults.

use std::fs::Metadata;
use std::io::{self, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use fs_err::{File, OpenOptions};

use super::regular::require_regular;

/// What can fail.
pub(super) trait Disk: Send + Sync + 'static {
    /// Opens a file at its end, and creates it if need be.
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Creates a directory in one that exists, unless it exists too.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Replaces a file as one step, durably.
    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()>;
}

/// A file that grows, or shrinks back when that failed.
pub(super) trait AppendFile: Send {
    fn len(&self) -> io::Result<u64>;
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn identity(&self) -> io::Result<FileIdentity>;
}

/// Which file it is, whatever its name: people remove files and put others in their place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

/// The file that a path names now, and its length; `None` if there is none.
pub(crate) fn look_up(path: &Path) -> io::Result<Option<(FileIdentity, u64)>> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some((identity(&metadata), metadata.len()))),
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

/// Elsewhere an open file cannot be removed or replaced, and the length tells the rest.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: 0,
        inode: 0,
    }
}

/// Opens a regular file at its end, and creates it if need be.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    require_regular(path)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    mode::of_file(&mut options);
    options.open(path)
}

/// The operating system's.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(open_to_append(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match mode::create_dir(path, false) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            created => created,
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        mode::sync_dir(path)
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let mut options = AtomicWriteFile::options();
        mode::of_replacement(&mut options);
        let mut file = options.open(path)?;
        file.write_all(contents)?;
        file.commit()
    }
}

impl AppendFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        // Times of access may lag; contents and length do not (fdatasync(2)).
        self.sync_data()
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Ok(identity(&self.metadata()?))
    }
}

/// Files 0640 and directories 0750 at most: what devices send is nobody else's business.
#[cfg(unix)]
pub(crate) mod mode {
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt as _};
    use std::path::Path;

    use atomic_write_file::unix::OpenOptionsExt as _;
    use fs_err::os::unix::fs::OpenOptionsExt as _;

    pub(crate) fn of_file(options: &mut fs_err::OpenOptions) {
        options.mode(0o640);
    }

    pub(super) fn of_replacement(options: &mut atomic_write_file::OpenOptions) {
        options.preserve_mode(false).mode(0o640);
    }

    pub(crate) fn create_dir(path: &Path, with_parents: bool) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(with_parents)
            .mode(0o750)
            .create(path)
    }

    pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
        fs_err::File::open(path)?.sync_all()
    }
}

/// Elsewhere there are no modes, and directories cannot be opened to be synchronised.
#[cfg(not(unix))]
pub(crate) mod mode {
    use std::io;
    use std::path::Path;

    pub(crate) fn of_file(_options: &mut fs_err::OpenOptions) {}

    pub(super) fn of_replacement(_options: &mut atomic_write_file::OpenOptions) {}

    pub(crate) fn create_dir(path: &Path, with_parents: bool) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(with_parents)
            .create(path)
    }

    pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
        Ok(())
    }
}
