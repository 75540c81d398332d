//! The files of a group: written one after the other, synchronised side by side.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::dedup::LogKey;
use super::disk::{AppendFile, Disk, FileIdentity, look_up};
use super::writer::Append;
use crate::{AppendOutcome, BatchId, StoreError};

/// The files that a group of batches goes to.
pub(super) struct Commit<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) segments: HashMap<PathBuf, OpenSegment>,
}

/// A file that a group appends to.
pub(super) struct OpenSegment {
    file: Box<dyn AppendFile>,
    pub(super) identity: FileIdentity,
    directory: PathBuf,
    pub(super) key: LogKey,
    is_entry_durable: bool,
    /// The length to which everybody was acknowledged.
    acknowledged_len: u64,
    pub(super) len: u64,
    /// Holds what could not be cut off again.
    pub(super) is_broken: bool,
    pub(super) written: Vec<BatchId>,
    pub(super) waiting: Vec<(Append, AppendOutcome)>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(disk: &'a dyn Disk) -> Self {
        Self {
            disk,
            segments: HashMap::new(),
        }
    }

    /// The file of this group to which a batch was written.
    pub(super) fn holder_of(&self, key: LogKey, id: BatchId) -> Option<&Path> {
        let mut segments = self.segments.iter();
        let holder =
            segments.find(|(_, segment)| segment.key == key && segment.written.contains(&id));
        holder.map(|(path, _)| path.as_path())
    }

    /// Makes every file durable, side by side: a journalling file system makes one commit of what
    /// several threads ask for at once. A file without an outcome was not synchronised.
    pub(super) fn sync_all(&mut self) -> HashMap<PathBuf, Result<(), StoreError>> {
        let disk = self.disk;
        let mut files: Vec<(&PathBuf, &mut OpenSegment)> = self
            .segments
            .iter_mut()
            .filter(|(_, segment)| !segment.waiting.is_empty())
            .collect();
        let share = files.len().div_ceil(MAX_SYNC_THREADS).max(1);
        let sync = |(path, segment): &mut (&PathBuf, &mut OpenSegment)| {
            let outcome = segment.sync(path, disk);
            let outcome = outcome.map_err(|source| StoreError::unavailable(path, source));
            (path.clone(), outcome)
        };
        if files.len() == 1 {
            return files.iter_mut().map(sync).collect();
        }
        std::thread::scope(|scope| {
            // Where no thread can be had, its files have no outcome.
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
}

impl OpenSegment {
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        key: LogKey,
        is_entry_durable: impl FnOnce(FileIdentity) -> bool,
    ) -> io::Result<Self> {
        let file = disk.open(path)?;
        let (identity, len) = (file.identity()?, file.len()?);
        Ok(Self {
            file,
            identity,
            directory: path.parent().unwrap_or(path).to_owned(),
            key,
            is_entry_durable: is_entry_durable(identity),
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
        match self.file.append(lines) {
            Ok(()) => {
                self.len += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_broken = self.file.truncate(self.len).is_err();
                Err(error)
            }
        }
    }

    pub(super) fn undo(&mut self) -> io::Result<()> {
        self.file.truncate(self.acknowledged_len)?;
        self.file.sync()
    }

    fn sync(&mut self, path: &Path, disk: &dyn Disk) -> io::Result<()> {
        if self.is_broken {
            return Err(not_undone());
        }
        self.file.sync()?;
        if !self.is_entry_durable {
            disk.sync_dir(&self.directory)?;
        }
        // What nobody finds again is not stored, however well it was synchronised.
        match look_up(path)? {
            Some((identity, _)) if identity == self.identity => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was removed while it was written",
            )),
        }
    }
}

/// Why a file takes nothing more.
fn not_undone() -> io::Error {
    io::Error::other("a failed write could not be undone")
}

const MAX_SYNC_THREADS: usize = 8;
