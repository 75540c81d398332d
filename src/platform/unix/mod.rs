//! Unix: file modes, signals, systemd.

mod file_access;
mod reload_socket;
mod run_as;
pub(crate) mod service_manager;

use std::fs::Metadata;
use std::io::{self, BufRead, Read};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use rustix::net::{SendFlags, sockopt};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

pub(crate) use file_access::{
    AccessOfOthers, FileAccess, create_dir, create_private_file, inherit_access,
};
pub(crate) use reload_socket::{
    ReloadListener, default_reload_socket_path, reload_socket_path, request_reload,
};
pub(crate) use run_as::{ServiceDir, create_service_dir, run_as};

/// Where a reload finds no daemon.
pub(crate) const NO_DAEMON_HINT: &str = "start it (`systemctl start engage-host`); one that systemd did not start is told by SIGHUP (`kill -HUP PID`)";

/// Who may ask for a reload.
pub(crate) const RELOAD_PERMISSION_HINT: &str = "run this as root, or as the daemon's user";

/// Where the daemon's log is.
pub(crate) const DAEMON_LOG: &str = "`journalctl -u engage-host`";

/// The command that shows who listens.
pub(crate) const LIST_LISTENERS: &str = "ss -ltnp";

/// The signal that [`ReloadSignals`] waits for, in the log.
pub(crate) const RELOAD_SIGNAL: &str = "SIGHUP";

/// Where the service's configuration is.
pub(crate) fn system_folder() -> PathBuf {
    "/etc/engage-host".into()
}

/// Where the service keeps what devices send: what the unit says as `StateDirectory=`.
pub(crate) const SYSTEM_DEVICES_DIRECTORY: &str = "/var/lib/engage-host";

/// The journal has the log.
pub(crate) const SYSTEM_LOG_FOLDER: Option<&str> = None;

/// For people: why folders cannot be made for the service.
pub(crate) const SERVICE_FOLDER_HINT: &str = "run this as root; `id engage-host` shows the user, which is made by `systemd-sysusers` from \
     packaging/systemd/engage-host.sysusers.conf";

/// Renames a file; fails where the new name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot: the name is looked at, and taken a moment later.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        renamed => return renamed.map_err(io::Error::from),
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Reads a line of at most `max_bytes` from the terminal without showing it.
pub(crate) fn read_hidden_line(max_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin().lock();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = Zeroizing::new(Vec::with_capacity(max_bytes));
    let read = stdin.take(max_bytes as u64).read_until(b'\n', &mut line);
    tcsetattr(io::stdin(), OptionalActions::Now, &shown)?;
    read.map(|_| line)
}

/// Fails where nothing can be created in the directory `path`.
pub(crate) fn is_writable_dir(path: &Path) -> io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(path, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// The size of the file system that holds `path`.
pub(crate) fn file_system_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_blocks.saturating_mul(found.f_frsize))
}

/// Raises the limit of open descriptors as far as the system lets it, and says how far.
pub(crate) fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let reached = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    // No limit at all is more than any kernel has (`fs.nr_open`).
    reached.map_or(1 << 20, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Whether a socket listens, and is not one connection.
pub(crate) fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    Ok(sockopt::socket_acceptconn(socket)?)
}

/// Whether an IPv6 socket takes IPv4 too.
pub(crate) fn accepts_ipv4(socket: &TcpListener) -> bool {
    sockopt::ipv6_v6only(socket).is_ok_and(|is_only| !is_only)
}

/// Lets an IPv6 socket take IPv4 too, whatever `net.ipv6.bindv6only` says.
pub(crate) fn accept_ipv4_too(socket: &TcpSocket) -> io::Result<()> {
    Ok(sockopt::set_ipv6_v6only(socket, false)?)
}

/// Lets a socket that listens take no new connections, but those whose handshakes have begun: other
/// clients hear nothing and try again a second later, when it is closed.
#[cfg(target_os = "linux")]
pub(crate) fn ignore_new_connections(socket: &impl AsFd) -> io::Result<()> {
    // Classic BPF (linux/bpf_common.h). What it is given begins with the TCP header, whose 14th byte
    // has SYN and ACK (RFC 9293 section 3.1): only a first segment has SYN alone.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(socket).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Cannot be done here.
#[cfg(not(target_os = "linux"))]
pub fn ignore_new_connections(_socket: &impl AsFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends bytes that what follows at once may join in one segment.
pub(crate) fn send_more(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
    #[cfg(not(target_os = "linux"))]
    let flags = SendFlags::empty();
    Ok(rustix::net::send(socket, bytes, flags)?)
}

/// Tells a file from what it was before a change of its contents, owner or mode.
pub(crate) fn file_version(metadata: &Metadata) -> (u64, i64, i64) {
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

/// When contents, owner or mode changed last.
pub(crate) fn changed_at(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanoseconds)
}

/// Tells a file or folder from another of the same path.
pub(crate) fn file_number(metadata: &Metadata) -> u64 {
    metadata.ino()
}

/// SIGHUP, which no longer ends the process once this is made.
pub(crate) struct ReloadSignals(tokio::signal::unix::Signal);

impl ReloadSignals {
    /// Must be called inside the runtime.
    pub(crate) fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Completes at the next one; several that came in between are one. Cancel safe.
    pub(crate) async fn recv(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Lets a write beyond the limit of a file's size (`ulimit -f`, `LimitFSIZE=`) fail as on a full
/// disk. SIGXFSZ would end the process otherwise. Must be called inside the runtime.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    // A signal once caught stays caught, whether or not anybody listens.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

/// A future that completes on SIGTERM or SIGINT, with the signal's name.
///
/// The signals are caught from the call on, not only once the future is polled: a daemon that has
/// said that it listens must not die of a SIGTERM without draining. Must be called inside the
/// runtime.
pub(crate) fn shutdown_requested() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
