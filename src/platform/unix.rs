//! Unix: file modes and signals.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use tokio::signal::unix::{SignalKind, signal};

/// The permission bits of `path` if anybody but its owner and its group can read it.
///
/// Group access is left alone: `root:engage-host 0640` is how secrets are usually handed to a
/// service.
#[must_use]
pub fn mode_readable_by_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    (mode & 0o004 != 0).then_some(mode)
}

/// Creates a new file that only its owner can read, and fails if it exists.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Creates a directory, and those above it, that only its owner can enter. One that exists is
/// left as it is.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// A future that completes on SIGTERM or SIGINT, with the signal's name.
///
/// The signals are caught from the call on, not only once the future is polled: a daemon that has
/// said that it listens must not die of a SIGTERM without draining. Must be called inside the
/// runtime.
pub fn shutdown_requested() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
