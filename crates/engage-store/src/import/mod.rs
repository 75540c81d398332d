//! Takes over what version 0.1.0 kept in files.
//!
//! ```text
//! Engage_Data/
//!   0123456789ABCDEF/
//!     device.json, config.json, db.json
//!     .db-last-good.json          the last db.json that passed its check
//!     audits-2026-11.jsonl        whole batches; a crash may have left the beginning of one behind
//!     alerts-2026-11.jsonl        the same
//!     .webhook.json               the last event of each kind that was delivered
//!     .webhook-undelivered.json   events that the receiver refused
//!   quarantine/                   bodies that were refused
//! ```
//!
//! The files are only read. What cannot be read is told and left out, and the rest is taken.

mod device;
mod event;
mod log;
mod merge;

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;

use crate::{DeviceId, OpenError, StoreError};

pub(crate) use device::{DATABASE_FILE, OldDevice, UNDELIVERED_FILE, WEBHOOK_FILE};
pub(crate) use merge::{Merge, OldLine};

/// What is told while records are taken over.
#[derive(Debug)]
pub enum ImportNews {
    /// So many devices of all are done.
    Progress {
        /// Taken over, or found to be there already.
        devices: usize,
        /// In the folder.
        of: usize,
    },
    /// Something is left out; for people.
    LeftOut(String),
}

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Imported {
    /// Devices in the folder.
    pub devices: usize,
    /// Events that were not in the store before.
    pub events: u64,
    /// Refused bodies in the folder.
    pub quarantined: usize,
    /// How often something was left out.
    pub left_out: usize,
}

/// Why records were not taken over, or not all.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ImportError {
    /// A daemon writes there.
    #[error(
        "directory `{}` is in use{}",
        directory.display(),
        pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    #[diagnostic(
        code("device-directory-in-use"),
        help(
            "stop that engage-host, import, and start it again; a daemon on PostgreSQL may run meanwhile, but not one in the directory that is imported"
        )
    )]
    InUse {
        /// The directory of devices that is read.
        directory: PathBuf,
        /// The process, where it said so.
        pid: Option<u32>,
    },
    /// Nothing there looks like it.
    #[error("`{}` holds no records of devices", directory.display())]
    #[diagnostic(
        code("no-records"),
        help("name the directory that holds a folder for each device, such as `Engage_Data`")
    )]
    NoRecords {
        /// The directory of devices that is read.
        directory: PathBuf,
    },
    /// The directory cannot be read.
    #[error("failed to read directory `{}`", directory.display())]
    #[diagnostic(
        code("unusable-directory"),
        help("{}", engage_wire::diagnostic::io_hint(source))
    )]
    Read {
        /// The directory of devices that is read.
        directory: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Open(OpenError),
    /// The database refused; what was taken over before stays, and is passed over the next time.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl From<OpenError> for ImportError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Held { directory, pid } => Self::InUse { directory, pid },
            error => Self::Open(error),
        }
    }
}

/// The folder of refused bodies.
pub(crate) const QUARANTINE: &str = "quarantine";

/// The devices that have a folder with records, by name.
pub(crate) fn devices(root: &Path) -> io::Result<Vec<DeviceId>> {
    let mut devices = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Only the canonical name is a device's.
        let device: Option<DeviceId> = name.parse().ok();
        if let Some(device) = device.filter(|device| device.to_string() == name)
            && entry.file_type()?.is_dir()
        {
            devices.push(device);
        }
    }
    devices.sort_by_key(ToString::to_string);
    Ok(devices)
}
