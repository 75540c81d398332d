//! Whether a file is still what it was when it was read.

use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::platform;

/// What a file, or what a link leads to, looks like at a moment: another one once its contents, owner
/// or mode have changed. Taken before the file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileVersion {
    /// Of size, times and number.
    hash: u64,
    /// Whether another change would show: not within the grain of the file system's clock.
    is_settled: bool,
}

impl FileVersion {
    /// Of what cannot be looked at.
    pub(crate) const UNKNOWN: Self = Self {
        hash: 0,
        is_settled: false,
    };

    /// Looks at a file; fails as the operating system says.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&fs::metadata(path)?))
    }

    /// Looks at an entry of a folder, which is quicker than by its path.
    pub(crate) fn of_entry(entry: &DirEntry) -> io::Result<Self> {
        if entry.file_type()?.is_symlink() {
            return Self::of(&entry.path());
        }
        Ok(Self::from_metadata(&entry.metadata()?))
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let mut hasher = DefaultHasher::new();
        metadata.len().hash(&mut hasher);
        modified.hash(&mut hasher);
        platform::file_version(metadata).hash(&mut hasher);
        let changed = platform::changed_at(metadata).or(modified);
        let age = changed.and_then(|at| SystemTime::now().duration_since(at).ok());
        Self {
            hash: hasher.finish(),
            is_settled: age.is_some_and(|age| age > CLOCK_GRAIN),
        }
    }

    /// Whether what was read when it looked like `earlier` is what it holds now.
    pub(crate) fn is_as(self, earlier: Self) -> bool {
        earlier.is_settled && self.hash == earlier.hash
    }

    /// For a hash over many files.
    pub(crate) fn number(self) -> u64 {
        self.hash
    }
}

/// The coarsest clock of a file system that is in use, FAT's aside.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_a_moment_ago_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs_err::write(&path, "1").unwrap();
        let fresh = FileVersion::of(&path).unwrap();
        assert!(!fresh.is_as(fresh));
        let settled = FileVersion {
            is_settled: true,
            ..fresh
        };
        assert!(FileVersion::of(&path).unwrap().is_as(settled));
        fs_err::write(&path, "22").unwrap();
        assert!(!FileVersion::of(&path).unwrap().is_as(settled));
    }
}
