//! Copies of everything, written anew.

mod others;

use std::io;
use std::path::{Path, PathBuf};

use engage_wire::diagnostic::causes;
use miette::Diagnostic;

use super::device_pages::devices;
use super::json_files::{config, month, page};
use super::reader::StoreReader;
use crate::json_files::copy::{CopyError, copy};
use crate::json_files::cursor::CopyCursor;
use crate::json_files::folder::sync_all;
use crate::json_files::month::Month;
use crate::json_files::source::{DeviceChanges, FiledEvent, Source};
use crate::{DeviceId, DeviceQuery, DeviceRecord, EventKind, StoreError, mode};

/// What was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exported {
    /// Folders.
    pub devices: usize,
    /// Lines in all of them.
    pub events: u64,
    /// What is missing, and why: somebody changed these rows.
    pub left_out: Vec<String>,
}

/// Why not everything was written.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ExportError {
    /// It would be mixed with what is there.
    #[error("directory `{}` is not empty", directory.display())]
    #[diagnostic(
        code("directory-not-empty"),
        help("name a directory that does not exist yet, or an empty one")
    )]
    NotEmpty {
        /// The directory that is written to.
        directory: PathBuf,
    },
    /// The operating system refused. `fs_err` has named the path.
    #[error("failed to write into `{}`", directory.display())]
    #[diagnostic(
        code("unusable-directory"),
        help("{}", engage_wire::diagnostic::io_hint(source))
    )]
    Write {
        /// The directory that is written to.
        directory: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The database refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl StoreReader {
    /// Writes the JSON files of all devices into a directory that is new or empty, and makes them
    /// durable. Beside a daemon a device's files are as they were at some moment in between.
    pub fn export(&self, directory: &Path) -> Result<Exported, ExportError> {
        let write = |source| ExportError::Write {
            directory: directory.to_owned(),
            source,
        };
        mode::create_dir(directory).map_err(write)?;
        if fs_err::read_dir(directory).map_err(write)?.next().is_some() {
            return Err(ExportError::NotEmpty {
                directory: directory.to_owned(),
            });
        }
        let mut exported = Exported::default();
        let mut query = DeviceQuery::default();
        loop {
            let page = self.query(async |it| devices(it, &query).await)?;
            exported.left_out.extend(page.left_out);
            for DeviceRecord { device, .. } in page.devices {
                let beginning = CopyCursor::beginning();
                let copied = match copy(directory, self, device, beginning, usize::MAX) {
                    Ok(copied) => {
                        exported.events += copied.events;
                        self.export_others(directory, device)
                    }
                    Err(CopyError::File(source)) => Err(write(source)),
                    Err(CopyError::Store(error)) => Err(error.into()),
                };
                match copied {
                    Ok(()) => exported.devices += 1,
                    Err(ExportError::Store(error @ StoreError::Malformed { .. })) => {
                        let text = format!("device {device} is left out: {}", causes(&error));
                        exported.left_out.push(text);
                    }
                    Err(error) => return Err(error),
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        exported.devices += self.export_databases_alone(directory)?;
        self.export_quarantine(directory)?;
        sync_all(directory).map_err(write)?;
        Ok(exported)
    }
}

impl Source for StoreReader {
    fn page(&self, device: DeviceId, after: i64) -> Result<Option<DeviceChanges>, StoreError> {
        self.query(async |it| page(it, device, after).await)
    }

    fn config(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        self.query(async |it| config(it, device).await)
    }

    fn month(
        &self,
        device: DeviceId,
        kind: EventKind,
        of: Month,
        range: (i64, i64),
    ) -> Result<Vec<FiledEvent>, StoreError> {
        self.query(async |it| month(it, device, kind, of, range).await)
    }
}
