//! Every other operating system: no file modes, Ctrl-C instead of signals.

use std::fs::Metadata;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err::{File, OpenOptions};
use socket2::SockRef;
use zeroize::Zeroizing;

/// File modes do not exist here, so nothing is known about other readers.
pub fn mode_readable_by_others(_path: &Path) -> Option<u32> {
    None
}

/// File modes do not exist here, so nothing is known about others.
pub fn mode_open_to_others(_path: &Path) -> Option<u32> {
    None
}

/// Creates a new file, and fails if it exists. It inherits the access list of its folder.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Creates a directory.
pub fn create_dir(path: &Path, _mode: u32) -> io::Result<()> {
    fs_err::create_dir(path)
}

/// Renames a file; fails where the new name is taken.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs_err::rename(from, to)
}

/// Access lists are inherited here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileAccess;

impl FileAccess {
    /// Nothing.
    pub fn from_path(_path: &Path) -> io::Result<Self> {
        Ok(Self)
    }

    /// Leaves the file as it is.
    pub fn apply(self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The system does it by itself.
pub fn inherit_access(_path: &Path, _group_bits: u32) -> io::Result<()> {
    Ok(())
}

/// Reads a line of at most `max_bytes` from the terminal, which shows it.
pub fn read_hidden_line(max_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(max_bytes));
    let stdin = io::stdin().lock();
    stdin.take(max_bytes as u64).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Fails where there is no directory; whether it can be written shows when it is.
pub fn is_writable_dir(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        Ok(())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// Users cannot be changed here.
pub fn run_as(_user: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What a service may do in a directory that is made for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServiceDir {
    /// Others' own; the service may read it.
    Readable,
    /// The service's own.
    Writable,
}

/// Users cannot be told apart here.
pub fn create_service_dir(_path: &Path, _user: &str, _access: ServiceDir) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not told here.
pub fn file_system_bytes(_path: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No such limit is known here.
pub fn raise_descriptor_limit() -> usize {
    8192
}

/// Cannot be told here.
pub fn is_listening(_socket: &std::net::TcpListener) -> io::Result<bool> {
    Ok(true)
}

/// Cannot be told here.
pub fn accepts_ipv4(_socket: &std::net::TcpListener) -> bool {
    true
}

/// Left as the system has it.
pub fn accept_ipv4_too(_socket: &tokio::net::TcpSocket) -> io::Result<()> {
    Ok(())
}

/// Cannot be done here.
pub fn ignore_new_connections(_socket: &tokio::net::TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends bytes; there is no such flag here.
pub fn send_more(socket: &tokio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send(bytes)
}

/// Nothing more than size and time is known here.
pub fn file_version(_metadata: &Metadata) {}

/// There are no times but that of the contents.
pub fn changed_at(_metadata: &Metadata) -> Option<SystemTime> {
    None
}

/// Files have no number here.
pub fn file_number(_metadata: &Metadata) -> u64 {
    0
}

/// There is no such signal here; files are watched all the same.
pub struct ReloadSignals;

impl ReloadSignals {
    /// Never fails here.
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for ever.
    pub async fn recv(&mut self) {
        std::future::pending().await
    }
}

/// There is no such socket here.
pub struct ReloadListener;

impl ReloadListener {
    /// Never fails here.
    pub fn bind(_path: &Path) -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for ever.
    pub async fn accept(&self) -> io::Result<tokio::io::DuplexStream> {
        std::future::pending().await
    }
}

/// No folder is made for the daemon here.
pub fn reload_socket_path() -> Option<PathBuf> {
    None
}

/// Where a daemon would be asked for a reload.
pub fn default_reload_socket_path() -> PathBuf {
    "reload.sock".into()
}

/// Always fails here.
pub fn request_reload(_socket: &Path, _timeout: Duration) -> io::Result<impl io::Read> {
    Err::<io::Empty, _>(io::ErrorKind::Unsupported.into())
}

/// No service manager is told anything here.
pub mod service_manager {
    use std::net::SocketAddr;

    /// Listeners are bound, a publication is in force; `status` is for people.
    pub fn ready(_status: &str) {}

    /// A reload has begun.
    pub fn reloading() {}

    /// The drain has begun.
    pub fn stopping() {}

    /// Waits for ever: there is no watchdog.
    pub async fn keep_alive(_http: SocketAddr, _own_call: WatchdogProbe) {
        std::future::pending().await
    }

    /// The daemon never calls itself here.
    #[derive(Clone, Debug, Default)]
    pub struct WatchdogProbe;

    impl WatchdogProbe {
        /// Never.
        pub fn is_from(&self, _peer: SocketAddr) -> bool {
            false
        }
    }
}

/// There is no such limit here.
pub fn survive_file_size_limit() -> io::Result<()> {
    Ok(())
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
