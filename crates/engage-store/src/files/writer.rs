//! The one thread that appends: it takes all batches that wait, writes them, synchronises each
//! touched file once, and answers them all.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{error, info, warn};

use super::dedup::{DedupIndex, SegmentIndex};
use super::device_dirs::DeviceDirs;
use super::disk::Disk;
use super::health::HealthFlag;
use super::line::lines;
use super::month::Month;
use super::observer::StoreObserver;
use super::retention::Retention;
use super::segment::{OpenSegment, not_undone, sync_all};
use super::torn_tail;
use crate::record::{BatchId, EventBatch};
use crate::{AppendOutcome, DeviceId, EventKind, StoreError};

/// A batch that waits to be stored.
pub(super) struct Append {
    pub(super) device: DeviceId,
    pub(super) log: EventKind,
    pub(super) batch: EventBatch,
    pub(super) received_at: Timestamp,
    pub(super) answer: oneshot::Sender<Result<AppendOutcome, StoreError>>,
    /// Its share of the queue's memory, given back when it is dropped.
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) directories: Arc<DeviceDirs>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) health: Arc<HealthFlag>,
    pub(super) retention: Retention,
    observer: Arc<dyn StoreObserver>,
    recent: DedupIndex,
    /// Files that could not be brought back to their last whole batch.
    needs_repair: HashSet<PathBuf>,
}

impl Writer {
    pub(super) fn new(
        directories: Arc<DeviceDirs>,
        disk: Arc<dyn Disk>,
        health: Arc<HealthFlag>,
        retention: Retention,
        observer: Arc<dyn StoreObserver>,
    ) -> Self {
        Self {
            directories,
            disk,
            health,
            retention,
            observer,
            recent: DedupIndex::default(),
            needs_repair: HashSet::new(),
        }
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self, queue: &Receiver<Append>) {
        loop {
            self.retention
                .apply_if_due(Timestamp::now(), &*self.observer);
            match queue.recv_timeout(IDLE) {
                Ok(first) => {
                    let waiting = queue.try_iter().take(MAX_GROUP - 1);
                    self.commit(std::iter::once(first).chain(waiting).collect());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.health.probe(self.directories.root(), &*self.disk);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Stores a group, and answers each of its batches.
    pub(super) fn commit(&mut self, group: Vec<Append>) {
        let mut touched: HashMap<PathBuf, OpenSegment> = HashMap::new();
        for append in group {
            match self.write(&append, &mut touched) {
                Ok(Written::Before) => answer(append.answer, Ok(AppendOutcome::Updated)),
                Ok(Written::In(path, acknowledged)) => {
                    if let Some(touched) = touched.get_mut(&path) {
                        touched.waiting.push((append, acknowledged));
                    }
                }
                Err(error) => {
                    self.health.note(&error);
                    answer(append.answer, Err(error));
                }
            }
        }
        let outcomes = sync_all(&mut touched, &*self.disk);
        for (path, touched) in touched {
            let outcome = match outcomes.get(&path) {
                Some(outcome) => outcome.clone(),
                None if touched.waiting.is_empty() => Ok(()),
                None => Err(StoreError::unavailable(
                    &path,
                    io::Error::other("it was not synchronised"),
                )),
            };
            self.finish(path, touched, outcome);
        }
        self.recent.shrink();
    }

    fn write(
        &mut self,
        append: &Append,
        touched: &mut HashMap<PathBuf, OpenSegment>,
    ) -> Result<Written, StoreError> {
        let Append {
            device, log, batch, ..
        } = append;
        let names = batch.prefix_ids(device);
        let Some(&id) = names.last() else {
            return Ok(Written::Before);
        };
        let key = (*device, *log);
        let month = Month::from_timestamp(append.received_at);
        let directory = self.directories.ensure(*device)?;
        let path = directory.join(month.file_name(*log));
        let failed = |source| StoreError::unavailable(&path, source);
        self.repair(&path, key)?;
        let recent = self.recent.log(&directory, key, month).map_err(failed)?;
        if recent.batches.contains(&id) {
            return repeated(recent, id, key, &directory, touched, &*self.disk);
        }
        let stored = stored_before(recent, &names, key, &path, touched, &*self.disk)?;
        let tail = match touched.entry(path.clone()) {
            Entry::Occupied(tail) => tail.into_mut(),
            Entry::Vacant(vacant) => {
                let linked = recent.linked.contains(&month);
                let tail = OpenSegment::open(&*self.disk, &path, directory, key, month, linked);
                vacant.insert(tail.map_err(failed)?)
            }
        };
        tail.append(&lines(batch, stored, id, append.received_at))
            .map_err(failed)?;
        recent.batches.insert(id);
        recent.last = Some(id);
        tail.written.push(id);
        let is_first = std::mem::take(&mut recent.is_new);
        let acknowledged = if is_first {
            AppendOutcome::Created
        } else {
            AppendOutcome::Updated
        };
        Ok(Written::In(path, acknowledged))
    }

    /// Brings a file that needs repair back to its last whole batch, as at start.
    fn repair(&mut self, path: &Path, key: (DeviceId, EventKind)) -> Result<(), StoreError> {
        if self.needs_repair.contains(path) {
            let torn = torn_tail::truncate_torn_tail(path)
                .map_err(|source| StoreError::unavailable(path, source))?;
            self.recent.forget(key);
            self.needs_repair.remove(path);
            info!(path = %path.display(), torn = torn.is_some(), "file is usable again");
        }
        Ok(())
    }

    fn finish(&mut self, path: PathBuf, mut touched: OpenSegment, outcome: Result<(), StoreError>) {
        let outcome = outcome.and_then(|()| {
            if touched.is_broken {
                return Err(StoreError::unavailable(&path, not_undone()));
            }
            Ok(())
        });
        match &outcome {
            Ok(()) => {
                if let Some(recent) = self.recent.known(touched.key) {
                    recent.linked.insert(touched.month);
                }
                if !touched.written.is_empty() {
                    self.health.recovered();
                    let devices: HashSet<_> = touched
                        .waiting
                        .iter()
                        .map(|(append, _)| append.device)
                        .collect();
                    for device in devices {
                        self.observer.appended(device);
                    }
                }
            }
            Err(error) => {
                self.health.note(error);
                // The files say what is left.
                self.recent.forget(touched.key);
                if let Err(source) = touched.undo() {
                    error!(path = %path.display(), error = %source, "failed to undo a write");
                    self.needs_repair.insert(path);
                }
            }
        }
        for (append, acknowledged) in touched.waiting {
            answer(append.answer, outcome.clone().map(|()| acknowledged));
        }
    }
}

/// A batch that arrives again shares the fate of the one in the same group, or is durable.
fn repeated(
    recent: &mut SegmentIndex,
    id: BatchId,
    key: (DeviceId, EventKind),
    directory: &Path,
    touched: &HashMap<PathBuf, OpenSegment>,
    disk: &dyn Disk,
) -> Result<Written, StoreError> {
    let same = touched
        .iter()
        .find(|(_, touched)| touched.key == key && touched.written.contains(&id));
    if let Some((path, _)) = same {
        return Ok(Written::In(path.clone(), AppendOutcome::Updated));
    }
    // Perhaps an earlier process wrote it, and died before it was durable.
    for file in &recent.fsync_pending {
        disk.open(file)
            .and_then(|mut file| file.sync())
            .map_err(|source| StoreError::unavailable(file, source))?;
    }
    if !recent.fsync_pending.is_empty() {
        disk.sync_dir(directory)
            .map_err(|source| StoreError::unavailable(directory, source))?;
        recent.fsync_pending.clear();
    }
    Ok(Written::Before)
}

/// How many of a batch's first events are stored already.
///
/// A device that did not hear its acknowledgement delivers the same again, and behind it what has
/// happened since. Only its last batch can be meant: what came before that was acknowledged.
fn stored_before(
    recent: &mut SegmentIndex,
    names: &[BatchId],
    key: (DeviceId, EventKind),
    path: &Path,
    touched: &HashMap<PathBuf, OpenSegment>,
    disk: &dyn Disk,
) -> Result<usize, StoreError> {
    let last = recent.last;
    let Some(at) = names.iter().position(|name| Some(*name) == last) else {
        return Ok(0);
    };
    let directory = path.parent().unwrap_or(path);
    match repeated(recent, names[at], key, directory, touched, disk)? {
        // Its fate is not that of the file that takes the rest.
        Written::In(other, _) if other != path => Ok(0),
        Written::In(..) | Written::Before => Ok(at + 1),
    }
}

enum Written {
    /// The batch is durable already, or empty.
    Before,
    /// Its fate is that of the file.
    In(PathBuf, AppendOutcome),
}

/// The caller may have gone; what it sent is stored all the same.
fn answer(
    waiting: oneshot::Sender<Result<AppendOutcome, StoreError>>,
    outcome: Result<AppendOutcome, StoreError>,
) {
    if waiting.send(outcome).is_err() {
        warn!("a device did not wait for its acknowledgement; it will deliver again");
    }
}

/// How often a failing disk is tried, and how late retention may be.
const IDLE: Duration = Duration::from_secs(5);

/// Batches that are answered together, so that the first does not wait for the last of a flood.
const MAX_GROUP: usize = 512;
