//! The socket over which a reload is asked for: who connects asks, and reads the outcome until the
//! end. Its folder's mode says who may.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::UnixListener;

/// The daemon's side.
pub(crate) struct ReloadListener(UnixListener);

impl ReloadListener {
    /// A socket that an earlier daemon left at `path` is replaced. Must be called inside the
    /// runtime.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => UnixListener::bind(path).map(Self),
        }
    }

    /// The next one who asks. Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<impl AsyncWrite + Send + Unpin + 'static> {
        Ok(self.0.accept().await?.0)
    }
}

/// Where the daemon listens: in the folder that the service manager made for it, if it made one.
pub(crate) fn reload_socket_path() -> Option<PathBuf> {
    // systemd names several folders with colons between them.
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
    let first = std::env::split_paths(&folders).next()?;
    Some(first.join("reload.sock"))
}

/// The same for whoever is not started by the service manager.
pub(crate) fn default_reload_socket_path() -> PathBuf {
    reload_socket_path().unwrap_or_else(|| "/run/engage-host/reload.sock".into())
}

/// Asks the daemon behind `socket` for a reload; its answer ends with the stream, which waits at
/// most `timeout` for each part.
pub(crate) fn request_reload(socket: &Path, timeout: Duration) -> io::Result<impl Read> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(timeout))?;
    Ok(stream)
}
