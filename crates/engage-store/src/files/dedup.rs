//! Which batches a device has delivered lately: a batch that arrives twice is stored once.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::line::BatchPosition;
use super::month::{Month, months};
use crate::record::BatchId;
use crate::{DeviceId, EventKind};

/// The logs that were written lately, within a bound; the others are read again when needed.
#[derive(Default)]
pub(super) struct DedupIndex {
    logs: HashMap<(DeviceId, EventKind), SegmentIndex>,
    clock: u64,
}

/// What is known of one log.
pub(super) struct SegmentIndex {
    pub(super) batches: HashSet<BatchId>,
    /// The newest of them.
    pub(super) last: Option<BatchId>,
    /// Nothing was ever stored in it.
    pub(super) is_new: bool,
    /// Files of an earlier process: what they hold was perhaps never synchronised.
    pub(super) fsync_pending: Vec<PathBuf>,
    /// Months whose file's directory entry is durable.
    pub(super) linked: HashSet<Month>,
    used: u64,
}

impl DedupIndex {
    /// The log of a device, read from its files if it is not known.
    pub(super) fn log(
        &mut self,
        directory: &Path,
        key: (DeviceId, EventKind),
        month: Month,
    ) -> io::Result<&mut SegmentIndex> {
        self.clock += 1;
        let log = match self.logs.entry(key) {
            Entry::Occupied(log) => log.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(SegmentIndex::read(directory, key.1, month)?),
        };
        log.used = self.clock;
        Ok(log)
    }

    /// One that [`log`](Self::log) has returned before, and that was not dropped since.
    pub(super) fn known(&mut self, key: (DeviceId, EventKind)) -> Option<&mut SegmentIndex> {
        self.logs.get_mut(&key)
    }

    /// Lets the files say again what they hold.
    pub(super) fn forget(&mut self, key: (DeviceId, EventKind)) {
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
    /// A device repeats a batch the next night at the latest; months are read whole, so two reach
    /// back at least one.
    fn read(directory: &Path, log: EventKind, month: Month) -> io::Result<Self> {
        let months = months(directory, log)?;
        // Whatever the clock says now, the newest files are the recent ones.
        let newest = months.len().saturating_sub(2);
        let mut batches = HashSet::new();
        let mut last = None;
        let mut fsync_pending = Vec::new();
        let mut is_new = true;
        for (at, (found, path)) in months.into_iter().enumerate() {
            is_new &= fs_err::metadata(&path)?.len() == 0;
            if at >= newest || found >= month.previous() {
                last = read_whole_batches(&path, &mut batches)?.or(last);
                fsync_pending.push(path);
            }
        }
        Ok(Self {
            batches,
            last,
            is_new,
            fsync_pending,
            linked: HashSet::new(),
            used: 0,
        })
    }
}

/// Returns the last. Lines that are not ours are passed over: people may have edited the file.
fn read_whole_batches(path: &Path, batches: &mut HashSet<BatchId>) -> io::Result<Option<BatchId>> {
    let mut last = None;
    let mut missing: HashMap<BatchId, usize> = HashMap::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let Some(BatchPosition { batch, of, .. }) = BatchPosition::read(&line?) else {
            continue;
        };
        let missing_lines = missing.entry(batch).or_insert(of);
        *missing_lines = missing_lines.saturating_sub(1);
        if *missing_lines == 0 {
            missing.remove(&batch);
            batches.insert(batch);
            last = Some(batch);
        }
    }
    Ok(last)
}

const MAX_LOGS: usize = 16 * 1024;

/// Of 16 bytes each.
const MAX_BATCHES: usize = 1024 * 1024;
