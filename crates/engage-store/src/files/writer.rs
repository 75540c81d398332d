//! The one thread that appends: it takes all batches that wait, writes them, synchronises each
//! file once, and answers them all.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{error, warn};

use super::dedup::{DedupIndex, LogKey};
use super::device_dirs::DeviceDirs;
use super::health::{HealthMonitor, Part};
use super::line::lines;
use super::lock::OwnerLock;
use super::month::Month;
use super::recovery::recover;
use super::retention::Retention;
use super::segment::{Commit, OpenSegment};
use crate::record::UploadedEvents;
use crate::subscribers::Subscribers;
use crate::{AppendOutcome, BatchId, Call, DeviceId, EventKind, StoreError};

/// A batch that waits to be stored.
pub(super) struct Append {
    pub(super) call: Call,
    pub(super) kind: EventKind,
    pub(super) batch: UploadedEvents,
    pub(super) answer: oneshot::Sender<Result<AppendOutcome, StoreError>>,
    /// Its share of the queue's memory, given back when it is dropped.
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    dirs: Arc<DeviceDirs>,
    health: Arc<HealthMonitor>,
    subscribers: Arc<Subscribers>,
    dedup: DedupIndex,
    /// Devices whose files may end in what was never acknowledged.
    needs_recovery: HashSet<DeviceId>,
    /// Of the directory that all of this is known of.
    lock: Arc<OwnerLock>,
}

impl Writer {
    pub(super) fn new(
        health: Arc<HealthMonitor>,
        subscribers: Arc<Subscribers>,
        needs_recovery: HashSet<DeviceId>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            lock: health.dirs.owned()?,
            dirs: Arc::clone(&health.dirs),
            health,
            subscribers,
            dedup: DedupIndex::default(),
            needs_recovery,
        })
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self, queue: &Receiver<Append>, mut retention: Retention) {
        loop {
            if self.dirs.owned().is_ok() {
                retention.apply_if_due(Instant::now(), Timestamp::now(), &*self.dirs.disk);
            }
            match queue.recv_timeout(IDLE) {
                Ok(first) => {
                    let waiting = queue.try_iter().take(MAX_GROUP - 1);
                    self.commit(std::iter::once(first).chain(waiting).collect());
                }
                Err(RecvTimeoutError::Timeout) => self.health.probe(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Stores a group, and answers each of its batches.
    pub(super) fn commit(&mut self, group: Vec<Append>) {
        let owned = self.dirs.owned().map(|lock| self.take_over(lock));
        let disk = Arc::clone(&self.dirs.disk);
        let mut commit = Commit::new(&*disk);
        for append in group {
            let written = owned
                .clone()
                .and_then(|()| self.write(&append, &mut commit));
            match written {
                Ok(Written::Before) => answer(append.answer, Ok(AppendOutcome::Updated)),
                Ok(Written::In(path, outcome)) => {
                    if let Some(segment) = commit.segments.get_mut(&path) {
                        segment.waiting.push((append, outcome));
                    }
                }
                Err(error) => {
                    self.health.failed(append.call.device, Part::Events, &error);
                    answer(append.answer, Err(error));
                }
            }
        }
        let outcomes = commit.sync_all();
        let confirmed = self.dirs.confirm(&self.lock);
        for (path, segment) in commit.segments {
            let outcome = match outcomes.get(&path) {
                Some(outcome) => outcome.clone().and(confirmed.clone()),
                None if segment.waiting.is_empty() && !segment.is_broken => Ok(()),
                None => Err(StoreError::unavailable(
                    &path,
                    io::Error::other("it was not synchronised"),
                )),
            };
            self.finish(&path, segment, &outcome);
        }
        self.dedup.shrink();
    }

    /// What was known of the files of another directory does not hold for this one.
    fn take_over(&mut self, lock: Arc<OwnerLock>) {
        if !Arc::ptr_eq(&lock, &self.lock) {
            self.dedup = DedupIndex::default();
            self.needs_recovery.extend(self.dirs.devices());
            self.lock = lock;
        }
    }

    fn write(&mut self, append: &Append, commit: &mut Commit<'_>) -> Result<Written, StoreError> {
        let Append {
            call, kind, batch, ..
        } = append;
        let ids = batch.prefix_ids(&call.device);
        let Some(&id) = ids.last() else {
            return Ok(Written::Before);
        };
        let key = (call.device, *kind);
        let directory = self.dirs.ensure(call)?;
        self.recover_if_needed(call.device, &directory)?;
        let path = self.segment_path(&directory, key, call.received_at)?;
        let stored = match self.stored_before(&directory, key, &ids, commit)? {
            Stored::OnDisk(events) if events == ids.len() => return Ok(Written::Before),
            Stored::InGroup(events, holder) if events == ids.len() => {
                return Ok(Written::In(holder, AppendOutcome::Updated));
            }
            // Its fate would not be that of the file that takes the rest.
            Stored::InGroup(_, holder) if holder != path => 0,
            Stored::OnDisk(events) | Stored::InGroup(events, _) => events,
        };
        let failed = |source| StoreError::unavailable(&path, source);
        let index = self.dedup.log(&directory, key).map_err(failed)?;
        let segment = match commit.segments.entry(path.clone()) {
            Entry::Occupied(segment) => segment.into_mut(),
            Entry::Vacant(vacant) => {
                let is_durable = |identity| index.is_entry_durable(&path, identity);
                let segment = OpenSegment::open(commit.disk, &path, key, is_durable);
                let segment = segment.map_err(failed)?;
                // The name may have led into another directory by now.
                self.dirs.confirm(&self.lock)?;
                vacant.insert(segment)
            }
        };
        segment
            .append(&lines(batch, stored, &ids, call.received_at))
            .map_err(failed)?;
        index.batches.insert(id);
        index.last = Some(id);
        segment.written.push(id);
        let is_first = std::mem::take(&mut index.is_new);
        let outcome = if is_first {
            AppendOutcome::Created
        } else {
            AppendOutcome::Updated
        };
        Ok(Written::In(path, outcome))
    }

    /// The file for what arrives now: its month, or the newest there is. So the order of the files
    /// is that in which events were stored, whatever the clock says.
    fn segment_path(
        &mut self,
        directory: &Path,
        key: LogKey,
        received_at: Timestamp,
    ) -> Result<PathBuf, StoreError> {
        let index = self
            .dedup
            .log(directory, key)
            .map_err(|source| StoreError::unavailable(directory, source))?;
        let month = Month::from_timestamp(received_at);
        let month = index.newest.map_or(month, |newest| newest.max(month));
        index.newest = Some(month);
        Ok(directory.join(month.file_name(key.1)))
    }

    /// How many of a batch's first events are stored already.
    ///
    /// A device that did not hear its acknowledgement delivers the same again, and behind it what
    /// has happened since. Only its last batch can be meant: what came before that was
    /// acknowledged.
    fn stored_before(
        &mut self,
        directory: &Path,
        key: LogKey,
        ids: &[BatchId],
        commit: &Commit<'_>,
    ) -> Result<Stored, StoreError> {
        let failed = |source| StoreError::unavailable(directory, source);
        let mut index = self.dedup.log(directory, key).map_err(failed)?;
        // Somebody removed, cut or replaced a file: what it held is not stored any more.
        if !index.is_on_disk().map_err(failed)? {
            self.dedup.forget(key);
            index = self.dedup.log(directory, key).map_err(failed)?;
        }
        let is_whole = ids.last().is_some_and(|id| index.batches.contains(id));
        let known = if is_whole {
            ids.len()
        } else {
            let last = ids.iter().position(|id| Some(*id) == index.last);
            last.map_or(0, |at| at + 1)
        };
        let Some(id) = known.checked_sub(1).map(|last| ids[last]) else {
            return Ok(Stored::OnDisk(0));
        };
        if let Some(holder) = commit.holder_of(key, id) {
            return Ok(Stored::InGroup(known, holder.to_owned()));
        }
        index.sync_all(directory, commit.disk).map_err(failed)?;
        Ok(Stored::OnDisk(known))
    }

    fn recover_if_needed(&mut self, device: DeviceId, directory: &Path) -> Result<(), StoreError> {
        if self.needs_recovery.contains(&device) {
            recover(directory)?;
            for kind in EventKind::ALL {
                self.dedup.forget((device, kind));
            }
            self.needs_recovery.remove(&device);
        }
        Ok(())
    }

    fn finish(&mut self, path: &Path, mut segment: OpenSegment, outcome: &Result<(), StoreError>) {
        let (device, _) = segment.key;
        match outcome {
            Ok(()) if segment.waiting.is_empty() => {}
            Ok(()) => {
                if let Some(index) = self.dedup.known(segment.key) {
                    index.note_synced(path, segment.identity, segment.len);
                }
                self.health.stored(device, Part::Events);
                self.subscribers.notify(device);
            }
            Err(error) => {
                self.health.failed(device, Part::Events, error);
                // The files say what is left.
                self.dedup.forget(segment.key);
                if let Err(source) = segment.undo() {
                    error!(path = %path.display(), error = %source, "failed to undo a write");
                    self.needs_recovery.insert(device);
                }
            }
        }
        for (append, acknowledged) in segment.waiting {
            answer(append.answer, outcome.clone().map(|()| acknowledged));
        }
    }
}

/// What of a batch is stored already: so many of its first events.
enum Stored {
    /// Durably.
    OnDisk(usize),
    /// By this group, in this file.
    InGroup(usize, PathBuf),
}

enum Written {
    /// The batch is durable already, or empty.
    Before,
    /// It is acknowledged if this file can be synchronised.
    In(PathBuf, AppendOutcome),
}

/// The caller may have gone; what it sent is stored all the same, and it will deliver again.
fn answer(
    waiting: oneshot::Sender<Result<AppendOutcome, StoreError>>,
    outcome: Result<AppendOutcome, StoreError>,
) {
    if waiting.send(outcome).is_err() {
        warn!("a device did not wait for its acknowledgement; it will deliver again");
    }
}

/// How often a failing disk is tried, and the clock is looked at.
const IDLE: Duration = Duration::from_secs(5);

/// Batches that are answered together, so that the first does not wait for the last of a flood.
const MAX_GROUP: usize = 512;
