//! Why a store cannot be opened, or did not store.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use engage_wire::ReadError;
use miette::Diagnostic;

use crate::{DeviceId, InvalidPageToken};

/// Why nothing was stored: 503, and nothing is acknowledged.
#[derive(Clone, Debug, Diagnostic, thiserror::Error)]
pub enum StoreError {
    /// More waits than can be kept waiting.
    #[error("the device store has more waiting than it can take")]
    #[diagnostic(
        code("store-busy"),
        help("the device calls again; is the disk or the database slow?")
    )]
    Busy,
    /// The store is shutting down.
    #[error("the device store is closed")]
    #[diagnostic(
        code("store-closed"),
        help("the daemon is stopping; the device calls again")
    )]
    Closed,
    /// It takes as much of the disk as it may.
    #[error("database {place} takes {bytes} bytes; allowed: {allowed}{whose}")]
    #[diagnostic(
        code("store-full"),
        help(
            "raise `[devices] max_store_bytes` or lower `keep_audits_days`; somebody may be sending what no lock sends: set `[devices] credentials_file` or `[access] allow`"
        )
    )]
    Full {
        /// The file or database.
        place: String,
        /// What it takes.
        bytes: u64,
        /// What it may take.
        allowed: u64,
        /// For whom, if not for all.
        whose: &'static str,
    },
    /// The page token is of another order, or of another device's events.
    #[error(transparent)]
    #[diagnostic(
        code("invalid-page-token"),
        help("a page token belongs to the question that it came with")
    )]
    InvalidPageToken(#[from] InvalidPageToken),
    /// This host could not say in time that it lives.
    #[error("another host delivers device {device} by now")]
    #[diagnostic(
        code("lease-lost"),
        help(
            "was this host suspended, or the database away? what it delivered last may arrive twice"
        )
    )]
    LeaseLost {
        /// The device whose events they are.
        device: DeviceId,
    },
    /// A row is not as it is written here: somebody changed it.
    #[error("database {place} holds a row that engage-host did not write so")]
    #[diagnostic(
        code("malformed-row"),
        help("mend or remove that row, or restore a backup; everything else is read and stored")
    )]
    Malformed {
        /// The file or database.
        place: String,
        /// Which device or column, and what is wrong with it.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The daemon has just started.
    #[error("the device store is being opened")]
    #[diagnostic(code("store-opening"), help("the device calls again"))]
    Opening,
    /// A defect of this program.
    #[error("the device store panicked: {message}")]
    #[diagnostic(
        code("store-panicked"),
        help("this is a defect of engage-host: report it with the log; the device calls again")
    )]
    Panicked {
        /// As it was thrown.
        message: String,
    },
    /// More devices than are kept.
    #[error("device {device} would be one too many; allowed: {allowed} {kind}")]
    #[diagnostic(
        code("too-many-devices"),
        help(
            "somebody may be inventing serial numbers: set `[devices] only_known`, `[devices] credentials_file` or `[access] allow`"
        )
    )]
    TooManyDevices {
        /// The new one.
        device: DeviceId,
        /// The most that are kept of its kind.
        allowed: usize,
        /// Which kind that is.
        kind: &'static str,
    },
    /// More new devices than one network address may bring.
    #[error(
        "device {device} is one of too many new ones from {peer}; allowed: {allowed} new devices an hour from one address"
    )]
    #[diagnostic(
        code("too-many-new-devices"),
        help(
            "if it is genuine it is taken when it calls again; somebody may be inventing serial numbers: set `[devices] credentials_file` or `[access] allow`"
        )
    )]
    TooManyNewDevices {
        /// The new one.
        device: DeviceId,
        /// Where it called from.
        peer: IpAddr,
        /// New devices an hour.
        allowed: u32,
    },
    /// Disk full, read-only, permission lost, or broken.
    #[error("database {place} failed")]
    #[diagnostic(code("store-unavailable"), help("{hint}"))]
    Unavailable {
        /// The file, directory or database.
        place: String,
        /// The engine's reason.
        source: Arc<dyn Error + Send + Sync>,
        /// What helps against it.
        hint: &'static str,
    },
}

/// Why the directory of devices, or the database, cannot be used.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum OpenError {
    /// The database refused.
    #[error("failed to open database {place}")]
    #[diagnostic(code("database-unusable"), help("{hint}"))]
    Database {
        /// The file, or the URL.
        place: String,
        /// The database's reason.
        source: Box<dyn Error + Send + Sync>,
        /// What helps against it.
        hint: &'static str,
    },
    /// Another process owns it.
    #[error(
        "device directory `{}` is in use{}",
        directory.display(),
        pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    #[diagnostic(
        code("device-directory-in-use"),
        help("stop the other engage-host, or give this one another `[devices] directory`")
    )]
    Held {
        /// The directory of devices, as configured.
        directory: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// No daemon of this program has used it yet.
    #[error("database {place} has schema {found}; this command needs schema {needed}")]
    #[diagnostic(
        code("older-schema"),
        help(
            "restart the daemon with this version of engage-host: it brings the database up to date"
        )
    )]
    OlderSchema {
        /// The file, or the URL.
        place: String,
        /// What the database has.
        found: i64,
        /// What is needed.
        needed: i64,
    },
    /// It was written by a newer program.
    #[error(
        "database {place} has schema {found}; this engage-host knows schemas up to {supported}"
    )]
    #[diagnostic(
        code("newer-schema"),
        help(
            "install the engage-host that wrote it, or a newer one; or restore a backup from before"
        )
    )]
    NewerSchema {
        /// The file, or the URL.
        place: String,
        /// What the database has.
        found: usize,
        /// What this program knows.
        supported: usize,
    },
    /// The database's password cannot be read.
    #[error(transparent)]
    #[diagnostic(
        code("unreadable-file"),
        help("the user that runs engage-host needs to read `[devices] database_password_file`")
    )]
    Password(#[from] ReadError),
    /// The operating system refused.
    #[error("failed to open device directory: `{}`", path.display())]
    #[diagnostic(
        code("device-directory-unusable"),
        help(
            "{}; engage-host creates, writes and reads files there",
            engage_wire::diagnostic::io_hint(source)
        )
    )]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn unusable(path: &std::path::Path, source: io::Error) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source: source
                .raw_os_error()
                .map_or(source, io::Error::from_raw_os_error),
        }
    }
}
