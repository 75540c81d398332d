//! Whether a file is still what it was when it was read.

use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::operator_map::OperatorMap;
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
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&fs::metadata(path)?))
    }

    /// Looks at a file or what a link leads to, and whether it is one, mostly with one call.
    fn following(path: &Path) -> (Self, bool) {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return (Self::UNKNOWN, false);
        };
        if metadata.is_symlink() {
            return (Self::from_path(path).unwrap_or(Self::UNKNOWN), true);
        }
        (Self::from_metadata(&metadata), false)
    }

    /// Looks at an entry of a folder, which is quicker than by its path.
    pub(crate) fn from_entry(entry: &DirEntry) -> io::Result<Self> {
        if entry.file_type()?.is_symlink() {
            return Self::from_path(&entry.path());
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

/// What many files look like, each looked at once.
#[derive(Debug, Default)]
pub(crate) struct FileVersions<'a> {
    /// Bytes are compared more quickly than the parts of a path.
    by_path: OperatorMap<&'a OsStr, FileVersion>,
    links: Vec<PathBuf>,
}

impl<'a> FileVersions<'a> {
    /// Looks at each of these files.
    pub(crate) fn from_paths(paths: impl Iterator<Item = &'a Path>) -> Self {
        let mut versions = Self::default();
        for path in paths {
            if let Entry::Vacant(entry) = versions.by_path.entry(path.as_os_str()) {
                let (version, is_link) = FileVersion::following(path);
                entry.insert(version);
                versions.links.extend(is_link.then(|| path.to_owned()));
            }
        }
        versions
    }

    /// What a file looked like; if it was not among them, what it looks like now.
    pub(crate) fn get(&self, path: &Path) -> FileVersion {
        let known = self.by_path.get(path.as_os_str()).copied();
        known.unwrap_or_else(|| FileVersion::from_path(path).unwrap_or(FileVersion::UNKNOWN))
    }

    /// Each file with what it looked like, in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a OsStr, FileVersion)> {
        self.by_path.iter().map(|(path, version)| (*path, *version))
    }

    /// Those that are links.
    pub(crate) fn links(&self) -> &[PathBuf] {
        &self.links
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
        let fresh = FileVersion::from_path(&path).unwrap();
        assert!(!fresh.is_as(fresh));
        let settled = FileVersion {
            is_settled: true,
            ..fresh
        };
        assert!(FileVersion::from_path(&path).unwrap().is_as(settled));
        fs_err::write(&path, "22").unwrap();
        assert!(!FileVersion::from_path(&path).unwrap().is_as(settled));
    }

    #[cfg(unix)]
    #[test]
    fn of_many_files_each_is_what_it_is_alone_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, none] = ["file", "link", "none"].map(|name| folder.path().join(name));
        fs_err::write(&file, "1").unwrap();
        fs_err::os::unix::fs::symlink(&file, &link).unwrap();
        let versions =
            FileVersions::from_paths([&file, &link, &none, &link].into_iter().map(|it| &**it));
        let number = FileVersion::from_path(&file).unwrap().number();
        for path in [&file, &link] {
            assert_eq!(versions.get(path).number(), number);
        }
        assert_eq!(versions.get(&none).number(), FileVersion::UNKNOWN.number());
        assert_eq!(versions.iter().count(), 3);
        // As it was looked at, although it is another now; one that was not is looked at.
        fs_err::write(&file, "22").unwrap();
        assert_eq!(versions.get(&link).number(), number);
        fs_err::write(folder.path().join("other"), "3").unwrap();
        let other = folder.path().join("other");
        assert_eq!(
            versions.get(&other).number(),
            FileVersion::from_path(&other).unwrap().number()
        );
        assert_eq!(versions.links(), std::slice::from_ref(&link));
    }
}
