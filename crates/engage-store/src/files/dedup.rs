//! Which batches a device has delivered lately: a batch that arrives twice is stored once.

use std::collections::HashSet;
use std::collections::hash_map::{Entry as MapEntry, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, FileIdentity, look_up};
use super::event_reader::{Entry, EventReader};
use super::line::LineHeader;
use super::month::{Month, months};
use crate::{BatchId, DeviceId, EventKind};

/// The audits or the alerts of one device.
pub(super) type LogKey = (DeviceId, EventKind);

/// The logs that were written lately, within a bound; the others are read again when needed.
#[derive(Default)]
pub(super) struct DedupIndex {
    logs: HashMap<LogKey, SegmentIndex>,
    clock: u64,
}

/// What is known of one log.
pub(super) struct SegmentIndex {
    pub(super) batches: HashSet<BatchId>,
    /// The newest of them.
    pub(super) last: Option<BatchId>,
    /// Nothing was ever stored in it.
    pub(super) is_new: bool,
    /// The newest month that has a file.
    pub(super) newest: Option<Month>,
    /// The files that hold the batches.
    segments: HashMap<PathBuf, Segment>,
    used: u64,
}

/// A monthly file, as it was when it was read or written last.
#[derive(Clone, Copy)]
struct Segment {
    identity: FileIdentity,
    len: u64,
    /// This process has synchronised its contents and its directory entry.
    is_synced: bool,
}

impl DedupIndex {
    /// The log of a device, read from its files if it is not known.
    pub(super) fn log(&mut self, directory: &Path, key: LogKey) -> io::Result<&mut SegmentIndex> {
        self.clock += 1;
        let log = match self.logs.entry(key) {
            MapEntry::Occupied(log) => log.into_mut(),
            MapEntry::Vacant(vacant) => vacant.insert(SegmentIndex::read(directory, key.1)?),
        };
        log.used = self.clock;
        Ok(log)
    }

    /// One that [`log`](Self::log) has returned before, and that was not dropped since.
    pub(super) fn known(&mut self, key: LogKey) -> Option<&mut SegmentIndex> {
        self.logs.get_mut(&key)
    }

    /// Has the files read again when the log is needed next.
    pub(super) fn forget(&mut self, key: LogKey) {
        self.logs.remove(&key);
    }

    /// Drops the half that was not used for longest, where there are too many.
    pub(super) fn shrink(&mut self) {
        let batches: usize = self.logs.values().map(|log| log.batches.len()).sum();
        if self.logs.len() <= MAX_LOGS && batches <= MAX_BATCHES {
            return;
        }
        let mut used: Vec<u64> = self.logs.values().map(|log| log.used).collect();
        used.sort_unstable();
        let median = used[used.len() / 2];
        self.logs.retain(|_, log| log.used > median);
    }
}

impl SegmentIndex {
    /// A device repeats a batch the next night at the latest: the end of the two newest files is
    /// enough, whatever the clock says now and however large they are.
    fn read(directory: &Path, kind: EventKind) -> io::Result<Self> {
        let months = months(directory, kind)?;
        let mut index = Self {
            batches: HashSet::new(),
            last: None,
            is_new: true,
            newest: months.last().map(|(month, _)| *month),
            segments: HashMap::new(),
            used: 0,
        };
        let mut budget_bytes = MAX_READ_BYTES;
        let mut ends = Vec::new();
        for (at, (_, path)) in months.iter().rev().enumerate() {
            let Some((identity, len)) = look_up(path)? else {
                continue;
            };
            index.is_new &= len == 0;
            if at < 2 {
                ends.push((path, len.saturating_sub(budget_bytes)));
                budget_bytes = budget_bytes.saturating_sub(len);
                let segment = Segment {
                    identity,
                    len,
                    is_synced: false,
                };
                index.segments.insert(path.clone(), segment);
            }
        }
        for (path, start) in ends.into_iter().rev() {
            index.read_complete_batches(path, start)?;
        }
        Ok(index)
    }

    /// Lines that are not ours are passed over: people may have edited the file.
    fn read_complete_batches(&mut self, path: &Path, start: u64) -> io::Result<()> {
        let mut reader = EventReader::open(path, start)?;
        if start > 0 {
            // Somewhere within a line.
            reader.skip_line()?;
        }
        let mut missing: HashMap<BatchId, usize> = HashMap::new();
        while let Some(entry) = reader.next()? {
            let header = match entry {
                Entry::Line(text) => LineHeader::parse(text),
                Entry::Overlong => None,
                Entry::Unfinished => break,
            };
            let Some(LineHeader { batch, of, .. }) = header else {
                continue;
            };
            let missing_lines = missing.entry(batch).or_insert(of);
            *missing_lines = missing_lines.saturating_sub(1);
            if *missing_lines == 0 {
                missing.remove(&batch);
                self.batches.insert(batch);
                self.last = Some(batch);
            }
        }
        Ok(())
    }

    /// Whether the files still are what was read and written: people remove and replace files.
    pub(super) fn is_on_disk(&self) -> io::Result<bool> {
        for (path, segment) in &self.segments {
            match look_up(path)? {
                Some((identity, len)) if identity == segment.identity && len >= segment.len => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Synchronises what an earlier process wrote: it may have died before it did.
    pub(super) fn sync_all(&mut self, directory: &Path, disk: &dyn Disk) -> io::Result<()> {
        let mut was_synced = true;
        for (path, segment) in &mut self.segments {
            if !std::mem::replace(&mut segment.is_synced, false) {
                was_synced = false;
                disk.open(path)?.sync()?;
            }
        }
        if !was_synced {
            disk.sync_dir(directory)?;
        }
        for segment in self.segments.values_mut() {
            segment.is_synced = true;
        }
        Ok(())
    }

    /// Whether the directory entry of this very file is known to be durable.
    pub(super) fn is_entry_durable(&self, path: &Path, identity: FileIdentity) -> bool {
        self.segments
            .get(path)
            .is_some_and(|segment| segment.is_synced && segment.identity == identity)
    }

    /// Notes what was made durable.
    pub(super) fn note_synced(&mut self, path: &Path, identity: FileIdentity, len: u64) {
        let segment = Segment {
            identity,
            len,
            is_synced: true,
        };
        self.segments.insert(path.to_owned(), segment);
    }
}

const MAX_LOGS: usize = 16 * 1024;

/// Of 16 bytes each.
const MAX_BATCHES: usize = 1024 * 1024;

/// Some 60,000 events.
const MAX_READ_BYTES: u64 = 16 * 1024 * 1024;
