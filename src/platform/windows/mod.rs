//! Windows: access lists, console events, a named pipe, services.

mod access_of_others;
mod file_access;
mod reload_pipe;
pub(crate) mod service_manager;

use std::fs::Metadata;
use std::io;
use std::net::TcpListener;
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use socket2::SockRef;
use tempfile::TempPath;
use tokio::net::{TcpSocket, TcpStream};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
use zeroize::Zeroizing;

pub(crate) use access_of_others::AccessOfOthers;
pub(crate) use file_access::{
    FileAccess, ServiceDir, create_dir, create_private_file, create_service_dir, inherit_access,
};
pub(crate) use reload_pipe::{
    ReloadListener, default_reload_socket_path, reload_socket_path, request_reload,
};

/// Where a reload finds no daemon.
pub(crate) const NO_DAEMON_HINT: &str = "start it: `engage-host service start`";

/// Who may ask for a reload.
pub(crate) const RELOAD_PERMISSION_HINT: &str = "run this as an administrator";

/// Where the daemon's log is.
pub(crate) const DAEMON_LOG: &str = "in the folder `logs` beside its configuration";

/// The command that shows who listens.
pub(crate) const LIST_LISTENERS: &str = "netstat -abno";

/// The control that [`ReloadSignals`] waits for, in the log.
pub(crate) const RELOAD_SIGNAL: &str = "SERVICE_CONTROL_PARAMCHANGE";

/// Where the service's configuration is.
pub(crate) fn system_folder() -> PathBuf {
    let folder = std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into());
    Path::new(&folder).join("engage-host")
}

/// From the folder of the configuration on: where the service keeps what devices send.
pub(crate) const SYSTEM_DEVICES_DIRECTORY: &str = "data";

/// From there on too: where it writes its log.
pub(crate) const SYSTEM_LOG_FOLDER: Option<&str> = Some("logs");

/// For people: why folders cannot be made for the service.
pub(crate) const SERVICE_FOLDER_HINT: &str = "run this as an administrator";

/// Renames a file; fails where the new name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let staged = TempPath::try_from_path(from)?;
    staged.persist_noclobber(to).map_err(|failed| {
        // Whoever called knows what becomes of it.
        let _ = failed.path.keep();
        failed.error
    })
}

/// Reads a line of at most `max_bytes` from the console without showing it.
pub(crate) fn read_hidden_line(max_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let line = Zeroizing::new(rpassword::read_password()?.into_bytes());
    if line.len() > max_bytes {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(line)
}

/// Fails where nothing can be created in the directory `path`.
pub(crate) fn is_writable_dir(path: &Path) -> io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    // An access list can say too much for reading it to be an answer.
    tempfile::tempfile_in(path).map(drop)
}

/// Users cannot be changed within a process here.
pub(crate) fn run_as(_user: &str) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "Windows runs a whole process as a user; `check` without it looks at the access lists",
    ))
}

/// The size of the file system that holds `path`.
pub(crate) fn file_system_bytes(path: &Path) -> io::Result<u64> {
    fs4::total_space(path)
}

/// There is no such limit here but memory.
pub(crate) fn raise_descriptor_limit() -> usize {
    1 << 20
}

/// Sockets are bound here, never passed.
pub(crate) fn is_listening(_socket: &TcpListener) -> io::Result<bool> {
    Ok(true)
}

/// Whether an IPv6 socket takes IPv4 too.
pub(crate) fn accepts_ipv4(socket: &TcpListener) -> bool {
    SockRef::from(socket)
        .only_v6()
        .is_ok_and(|is_only| !is_only)
}

/// Lets an IPv6 socket take IPv4 too, which it does not by default.
pub(crate) fn accept_ipv4_too(socket: &TcpSocket) -> io::Result<()> {
    SockRef::from(socket).set_only_v6(false)
}

/// Cannot be done here.
pub(crate) fn ignore_new_connections(_socket: &tokio::net::TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends bytes; there is no flag for more that follows.
pub(crate) fn send_more(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send(bytes)
}

/// Tells a file from what it was before a change of its contents.
pub(crate) fn file_version(metadata: &Metadata) -> (u64, u32) {
    (metadata.creation_time(), metadata.file_attributes())
}

/// There are no times but that of the contents.
pub(crate) fn changed_at(_metadata: &Metadata) -> Option<SystemTime> {
    None
}

/// Tells a file or folder from another of the same path.
pub(crate) fn file_number(metadata: &Metadata) -> u64 {
    metadata.creation_time()
}

/// A control of the service; `engage-host reload` asks over the pipe.
pub(crate) struct ReloadSignals;

impl ReloadSignals {
    /// Never fails here.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Completes at the next one; several that came in between are one. Cancel safe.
    pub(crate) async fn recv(&mut self) {
        service_manager::reload_requested().await;
    }
}

/// There is no such limit here.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    Ok(())
}

/// A future that completes on Ctrl-C, Ctrl-Break, when the console is closed or the computer shut
/// down, with the event's name.
///
/// They are caught from the call on, not only once the future is polled. Must be called inside the
/// runtime.
pub(crate) fn shutdown_requested() -> io::Result<impl Future<Output = &'static str>> {
    let (mut c, mut r#break) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut shutdown) = (ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = c.recv() => "Ctrl-C",
            _ = r#break.recv() => "Ctrl-Break",
            _ = close.recv() => "the end of the console",
            _ = shutdown.recv() => "the computer's shutdown",
        }
    })
}
