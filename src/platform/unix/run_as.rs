//! The rights of another user: for the rest of a thread's life, or in a directory.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// Gives the calling thread the user and the groups that a service of this user has. Needs root.
pub(crate) fn run_as(user: &str) -> io::Result<()> {
    // By the system's own tool, which also knows users that are in no file (systemd's, LDAP).
    let (uid, gid) = (id("-u", user)?, id("-g", user)?);
    let groups: Vec<Gid> = ids("-G", user)?.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_gid(Gid::from_raw(gid))?;
    set_thread_uid(Uid::from_raw(uid))?;
    Ok(())
}

/// What a service may do in a directory that root makes for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServiceDir {
    /// Root's own; the service's group may read it.
    Readable,
    /// The service's own.
    Writable,
}

/// Makes a directory for a service that runs as `user`, or gives it one that exists. Needs root.
pub(crate) fn create_service_dir(path: &Path, user: &str, access: ServiceDir) -> io::Result<()> {
    let (uid, gid) = (id("-u", user)?, id("-g", user)?);
    std::fs::create_dir_all(path)?;
    let owner = match access {
        ServiceDir::Readable => 0,
        ServiceDir::Writable => uid,
    };
    chown(path, Some(owner), Some(gid))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o750))
}

fn id(kind: &str, user: &str) -> io::Result<u32> {
    match ids(kind, user)?[..] {
        [id] => Ok(id),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn ids(kind: &str, user: &str) -> io::Result<Vec<u32>> {
    let printed = Command::new("id").args([kind, "--", user]).output()?;
    if !printed.status.success() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such user",
        ));
    }
    let text = String::from_utf8_lossy(&printed.stdout);
    let numbers = text.split_whitespace().map(str::parse);
    numbers.collect::<Result<_, _>>().map_err(io::Error::other)
}
