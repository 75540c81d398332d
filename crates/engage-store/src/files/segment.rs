//! The files of a group: written one after the other, synchronised side by side.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{AppendFile, Disk};
use super::month::Month;
use super::writer::Append;
use crate::record::BatchId;
use crate::{AppendOutcome, DeviceId, EventKind, StoreError};

/// A file that a group appends to.
pub(super) struct OpenSegment {
    tail: Box<dyn AppendFile>,
    pub(super) directory: PathBuf,
    pub(super) key: (DeviceId, EventKind),
    pub(super) month: Month,
    /// Its directory entry is durable.
    linked: bool,
    /// The length to which everybody was acknowledged.
    acknowledged_len: u64,
    len: u64,
    pub(super) is_broken: bool,
    pub(super) written: Vec<BatchId>,
    pub(super) waiting: Vec<(Append, AppendOutcome)>,
}

impl OpenSegment {
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        directory: PathBuf,
        key: (DeviceId, EventKind),
        month: Month,
        linked: bool,
    ) -> io::Result<Self> {
        let tail = disk.open(path)?;
        let len = tail.len()?;
        Ok(Self {
            tail,
            directory,
            key,
            month,
            linked,
            acknowledged_len: len,
            len,
            is_broken: false,
            written: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Appends a batch, or leaves the file as it was: never half a batch.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Err(not_undone());
        }
        match self.tail.append(lines) {
            Ok(()) => {
                self.len += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_broken = self.tail.truncate(self.len).is_err();
                Err(error)
            }
        }
    }

    pub(super) fn undo(&mut self) -> io::Result<()> {
        self.tail.truncate(self.acknowledged_len)?;
        self.tail.sync()
    }
}

/// Makes every touched file durable, side by side: a journalling file system makes one commit of
/// what several threads ask for at once.
pub(super) fn sync_all(
    touched: &mut HashMap<PathBuf, OpenSegment>,
    disk: &dyn Disk,
) -> HashMap<PathBuf, Result<(), StoreError>> {
    let mut files: Vec<(&PathBuf, &mut OpenSegment)> = touched
        .iter_mut()
        .filter(|(_, touched)| !touched.waiting.is_empty())
        .collect();
    let share = files.len().div_ceil(MAX_SYNC_THREADS).max(1);
    let sync = |(path, touched): &mut (&PathBuf, &mut OpenSegment)| {
        let synced = touched.tail.sync().and_then(|()| {
            if touched.linked {
                return Ok(());
            }
            disk.sync_dir(&touched.directory)
        });
        let outcome = synced.map_err(|source| StoreError::unavailable(path, source));
        (path.clone(), outcome)
    };
    if files.len() == 1 {
        return files.iter_mut().map(sync).collect();
    }
    std::thread::scope(|scope| {
        // Where no thread can be had, its files have no outcome, and nothing of them is
        // acknowledged.
        let threads: Vec<_> = files
            .chunks_mut(share)
            .filter_map(|files| {
                let sync_all = || files.iter_mut().map(sync).collect::<Vec<_>>();
                std::thread::Builder::new()
                    .spawn_scoped(scope, sync_all)
                    .ok()
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

/// Why a file takes nothing more.
pub(super) fn not_undone() -> io::Error {
    io::Error::other("a failed write could not be undone")
}

const MAX_SYNC_THREADS: usize = 8;
