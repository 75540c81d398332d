//! Every other operating system: no file modes, Ctrl-C instead of signals.

use std::io;
use std::path::Path;

use fs_err::{File, OpenOptions};

/// File modes do not exist here, so nothing is known about other readers.
#[must_use]
pub fn mode_readable_by_others(_path: &Path) -> Option<u32> {
    None
}

/// Creates a new file, and fails if it exists. It inherits the access list of its folder.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Creates a directory and those above it.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    fs_err::create_dir_all(path)
}

/// A future that completes on Ctrl-C.
pub fn shutdown_requested() -> io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    })
}
