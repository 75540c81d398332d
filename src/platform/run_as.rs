//! The rights of another user, for the rest of a thread's life.

use std::io;
use std::process::Command;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// Gives the calling thread the user and the groups that a service of this user has. Needs root.
pub(crate) fn run_as(user: &str) -> io::Result<()> {
    // By the system's own tool, which also knows users that are in no file (systemd's, LDAP).
    let [uid] = ids("-u", user)?[..] else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let [gid] = ids("-g", user)?[..] else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let groups: Vec<Gid> = ids("-G", user)?.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_gid(Gid::from_raw(gid))?;
    set_thread_uid(Uid::from_raw(uid))?;
    Ok(())
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
