//! Owner, group and permission bits of files.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use rustix::process::{getegid, geteuid};

/// Who has access to a file that holds a secret, besides its owner and its group.
///
/// Group access is left alone: `root:engage-host 0640` is how secrets are usually handed to a
/// service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AccessOfOthers {
    mode: u32,
}

impl AccessOfOthers {
    /// Of everybody, to read it.
    pub(crate) fn to_read(path: &Path) -> Option<Self> {
        Self::with_any(path, 0o004)
    }

    /// Of everybody, to use it in any way, or of the group, to change it.
    pub(crate) fn to_use(path: &Path) -> Option<Self> {
        Self::with_any(path, 0o027)
    }

    /// What a file has that only its owner and the service can use.
    pub(crate) const NONE: &'static str = "0600 or 0640";

    /// For people: how it is taken away.
    pub(crate) fn remedy(&self, path: &Path) -> String {
        let of_group = if self.mode & 0o020 == 0 { "" } else { "g-w," };
        format!("`chmod {of_group}o= {}`", path.display())
    }

    fn with_any(path: &Path, bits: u32) -> Option<Self> {
        let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
        (mode & bits != 0).then_some(Self { mode })
    }
}

/// After "the file has".
impl fmt::Display for AccessOfOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {:04o}", self.mode)
    }
}

/// Creates a new file that only its owner can read, and fails if it exists.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Creates a directory with these permission bits, as far as the umask lets them be.
pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(mode).create(path)
}

/// Owner, group and permission bits of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileAccess {
    owner: u32,
    group: u32,
    mode: u32,
}

impl FileAccess {
    /// Those of a file that exists.
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        })
    }

    /// Gives them to another file, as far as this user may give files away: whoever may not owns
    /// the file, and will read it.
    pub(crate) fn apply(&self, path: &Path) -> io::Result<()> {
        let found = Self::from_path(path)?;
        let owner = (found.owner != self.owner).then_some(self.owner);
        let group = (found.group != self.group).then_some(self.group);
        if (owner, group) != (None, None)
            && may_be_denied(chown(path, owner, group))?.is_none()
            && may_be_denied(chown(path, None, group))?.is_none()
        {
            // The bits for the group were meant for another one.
            let mode = self.mode & !0o070;
            return std::fs::set_permissions(path, Permissions::from_mode(mode));
        }
        std::fs::set_permissions(path, Permissions::from_mode(self.mode))
    }
}

/// What root creates is for whoever owns the directory that it is in: gives a new file or directory
/// that owner and group, and where that group may enter, a daemon's, `group_bits` too. Other users
/// create for themselves.
pub(crate) fn inherit_access(path: &Path, group_bits: u32) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let found = FileAccess::from_path(path)?;
    let above = FileAccess::from_path(path.parent().unwrap_or(Path::new("/")))?;
    let is_for_group = above.mode & 0o010 != 0 && above.group != getegid().as_raw();
    let mode = found.mode | if is_for_group { group_bits } else { 0 };
    FileAccess { mode, ..above }.apply(path)
}

/// `None` when this user may not give files away.
fn may_be_denied(outcome: io::Result<()>) -> io::Result<Option<()>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        other => other.map(Some),
    }
}
