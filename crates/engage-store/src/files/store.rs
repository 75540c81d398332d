//! The store: opened once, shared by all routes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot};
use tracing::warn;

use super::cursor::FileCursor;
use super::database;
use super::dedup::DedupIndex;
use super::device_dirs::{DeviceDirs, strays};
use super::disk::{Disk, RealDisk};
use super::event_log;
use super::health::HealthMonitor;
use super::lock::OwnerLock;
use super::quarantine::{FOLDER as QUARANTINE, Quarantine};
use super::reader::{CONFIG_FILE, StoreReader};
use super::record_writer::{Observed, RecordWriter};
use super::recovery::recover_all;
use super::retention::Retention;
use super::subscribers::Subscribers;
use super::undelivered::set_aside;
use super::writer::{Append, Writer};
use crate::record::UploadedEvents;
use crate::{
    Alert, AppendOutcome, AppendedDevices, AuditBatch, BatchLimit, Call, ConfigUpload, Cursor,
    Database, DeviceId, DeviceObservation, DeviceStore, EventBatch, EventKind, EventLog, Health,
    KeepDays, OpenError, PendingDevice, StoreError, StoreWarning, Subscriber, UploadKind,
};

/// The store over a directory that this process owns.
///
/// Dropping it waits until everything that was accepted is written.
pub struct FileStore {
    shared: Arc<Shared>,
    appends: Option<Sender<Append>>,
    records: Option<SyncSender<Observed>>,
    room: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
    /// Last, so that it is given back last.
    _lock: OwnerLock,
}

/// A directory that this process owns, and that has not been looked at yet.
pub struct ClaimedDirectory {
    root: std::path::PathBuf,
    disk: Arc<dyn Disk>,
    lock: OwnerLock,
}

struct Shared {
    dirs: Arc<DeviceDirs>,
    disk: Arc<dyn Disk>,
    health: Arc<HealthMonitor>,
    subscribers: Arc<Subscribers>,
    quarantine: Mutex<Quarantine>,
    strays: Vec<StoreWarning>,
    /// One replacement at a time for each device; several devices at a time.
    stripes: [Mutex<()>; 64],
    hasher: RandomState,
}

impl ClaimedDirectory {
    /// Takes a directory over, and creates it if need be. Quick: whether another process has it is
    /// known before anything is served.
    pub fn claim(directory: &Path) -> Result<Self, OpenError> {
        Self::claim_on(Arc::new(RealDisk), directory)
    }

    pub(super) fn claim_on(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self, OpenError> {
        disk.create_dir(directory)
            .map_err(|source| OpenError::unusable(directory, source))?;
        Ok(Self {
            root: directory.to_owned(),
            disk,
            lock: OwnerLock::acquire(directory)?,
        })
    }

    /// Puts right what a crash left, and opens the store. Looks at every device's folder: to be
    /// called on a thread that may block, while certificates are served.
    pub fn open(self, keep: KeepDays) -> Result<FileStore, OpenError> {
        let Self { root, disk, lock } = self;
        let unusable = |source| OpenError::unusable(&root, source);
        let dirs = Arc::new(DeviceDirs::open(&root, Arc::clone(&disk)).map_err(unusable)?);
        let health = Arc::<HealthMonitor>::default();
        let unrecovered = recover_all(&root, dirs.devices());
        for (device, error) in &unrecovered {
            health.impair(*device, error.to_string());
        }
        // For people to find; where it cannot be made, that is told when it is needed.
        let _ = disk.create_dir(&root.join(QUARANTINE));
        let strays = strays(&root).unwrap_or_default();
        for stray in &strays {
            warn!("stray folder in the device directory: {stray}");
        }
        let shared = Arc::new(Shared {
            dirs,
            disk,
            health,
            subscribers: Arc::default(),
            quarantine: Mutex::default(),
            strays,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
        });
        let writer = shared.writer(unrecovered.into_keys().collect());
        let retention = shared.retention(&root, keep);
        let record_writer = shared.record_writer();
        let (appends, appended) = channel();
        let (records, observations) = sync_channel(MAX_OBSERVATIONS);
        let threads = vec![
            spawn("store-append", move || writer.run(&appended, retention)).map_err(unusable)?,
            spawn("store-records", move || record_writer.run(&observations)).map_err(unusable)?,
        ];
        Ok(FileStore {
            shared,
            appends: Some(appends),
            records: Some(records),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            threads,
            _lock: lock,
        })
    }
}

impl FileStore {
    /// Claims and opens a directory at once.
    pub fn open(directory: &Path, keep: KeepDays) -> Result<Self, OpenError> {
        ClaimedDirectory::claim(directory)?.open(keep)
    }

    async fn append(
        &self,
        call: &Call,
        kind: EventKind,
        batch: UploadedEvents,
    ) -> Result<AppendOutcome, StoreError> {
        let room = Arc::clone(&self.room)
            .acquire_many_owned(batch.weight_kib().min(QUEUE_KIB))
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, acknowledged) = oneshot::channel();
        let append = Append {
            call: *call,
            kind,
            batch,
            answer,
            _room: room,
        };
        let queue = self.appends.as_ref().ok_or(StoreError::Closed)?;
        queue.send(append).map_err(|_| StoreError::Closed)?;
        acknowledged.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs what waits for the disk where waiting harms nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .unwrap_or(Err(StoreError::Closed))
    }
}

#[async_trait]
impl DeviceStore for FileStore {
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError> {
        let outcome = self
            .append(call, EventKind::Audits, batch.into_events())
            .await?;
        let stored = DeviceObservation::AuditsStored;
        self.observe(call.device, stored, call.received_at);
        Ok(outcome)
    }

    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError> {
        self.append(call, EventKind::Alerts, alert.into_events())
            .await
    }

    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError> {
        let (call, properties) = (*call, upload.properties());
        self.blocking(move |shared| shared.save_config(&call, &upload))
            .await?;
        let saved = DeviceObservation::ConfigSaved(properties);
        self.observe(call.device, saved, call.received_at);
        Ok(())
    }

    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError> {
        let call = *call;
        self.blocking(move |shared| shared.quarantine(&call, kind, &body))
            .await
    }

    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError> {
        let loaded = self.blocking(move |shared| {
            let _one_at_a_time = shared.lock_device(device);
            Ok(database::load(&shared.dirs.path(device), &*shared.disk))
        });
        let database::LoadedDatabase { database, refused } = loaded.await?;
        let checked = DeviceObservation::DatabaseChecked { refused };
        self.observe(device, checked, now);
        Ok(database)
    }

    fn observe(&self, device: DeviceId, observation: DeviceObservation, at: Timestamp) {
        let observed = Observed {
            device,
            observation,
            at,
        };
        if let Some(records) = &self.records
            && records.try_send(observed).is_err()
        {
            tracing::debug!(%device, "too many observations at once; one is lost");
        }
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        let mut warnings = self.shared.health.warnings();
        warnings.extend(self.shared.dirs.warning());
        warnings.extend(self.shared.strays.iter().cloned());
        warnings
    }
}

#[async_trait]
impl EventLog for FileStore {
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices) {
        self.shared.subscribers.add(subscriber, appended);
    }

    async fn load_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Cursor, StoreError> {
        self.blocking(move |shared| {
            shared.reading(device, |directory| {
                Ok(Cursor::from(&FileCursor::load(subscriber, directory)?))
            })
        })
        .await
    }

    async fn next_batch(
        &self,
        device: DeviceId,
        cursor: &Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        let cursor = cursor.clone();
        self.blocking(move |shared| {
            shared.reading(device, |directory| {
                event_log::next_batch(directory, &cursor, limit)
            })
        })
        .await
    }

    async fn commit_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        cursor: &Cursor,
    ) -> Result<(), StoreError> {
        let cursor = FileCursor::from(cursor);
        self.blocking(move |shared| {
            shared.reading(device, |directory| {
                cursor.save(subscriber, directory, &*shared.disk)
            })
        })
        .await
    }

    async fn set_aside(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (batch, reason) = (batch.clone(), reason.to_owned());
        let cursor = FileCursor::from(&batch.cursor);
        self.blocking(move |shared| {
            shared.reading(device, |directory| {
                let disk = &*shared.disk;
                // Before the cursor: a crash in between repeats the attempt, and loses nothing.
                set_aside(subscriber, directory, &batch, &reason, disk)?;
                cursor.save(subscriber, directory, disk)
            })
        })
        .await
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        self.blocking(move |shared| {
            let pending = |device| shared.pending(subscriber, device);
            Ok(shared
                .dirs
                .devices()
                .into_iter()
                .filter_map(pending)
                .collect())
        })
        .await
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        // Without senders the threads finish what they have, and end.
        self.appends = None;
        self.records = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the device store has panicked");
            }
        }
    }
}

impl Shared {
    fn writer(&self, needs_recovery: HashSet<DeviceId>) -> Writer {
        Writer {
            dirs: Arc::clone(&self.dirs),
            disk: Arc::clone(&self.disk),
            health: Arc::clone(&self.health),
            subscribers: Arc::clone(&self.subscribers),
            dedup: DedupIndex::default(),
            needs_recovery,
        }
    }

    fn retention(&self, root: &Path, keep: KeepDays) -> Retention {
        let subscribers = Arc::clone(&self.subscribers);
        Retention::new(root, keep, subscribers, &*self.disk, Timestamp::now())
    }

    fn record_writer(&self) -> RecordWriter {
        RecordWriter {
            dirs: Arc::clone(&self.dirs),
            disk: Arc::clone(&self.disk),
            health: Arc::clone(&self.health),
            reader: StoreReader::new(self.dirs.root()),
            dirty: HashMap::new(),
        }
    }

    fn save_config(&self, call: &Call, upload: &ConfigUpload) -> Result<(), StoreError> {
        let _one_at_a_time = self.lock_device(call.device);
        let saved = self.dirs.ensure(call).and_then(|directory| {
            let path = directory.join(CONFIG_FILE);
            self.disk
                .replace(&path, upload.as_bytes())
                .map_err(|source| StoreError::unavailable(&path, source))
        });
        match &saved {
            Ok(()) => self.health.stored(call.device),
            Err(error) => {
                self.health
                    .failed(call.device, error, self.dirs.root(), &*self.disk);
            }
        }
        saved
    }

    fn quarantine(&self, call: &Call, kind: UploadKind, body: &[u8]) -> Result<(), StoreError> {
        let root = self.dirs.root();
        let kept = self
            .quarantine
            .lock()
            .keep(root, &*self.disk, call, kind, body)
            .map_err(|source| StoreError::unavailable(root, source));
        if let Err(error) = &kept {
            self.health.failed(call.device, error, root, &*self.disk);
        }
        kept
    }

    /// A device whose files cannot be read is logged and left out: it must not hide the others.
    fn pending(&self, subscriber: Subscriber, device: DeviceId) -> Option<PendingDevice> {
        let directory = self.dirs.path(device);
        let oldest = FileCursor::load(subscriber, &directory)
            .and_then(|cursor| event_log::oldest(&directory, &cursor));
        let oldest = oldest.unwrap_or_else(|error| {
            warn!(%device, %error, "failed to look for undelivered events");
            None
        });
        oldest.map(|oldest| PendingDevice { device, oldest })
    }

    /// Reads and writes beside a device's records.
    fn reading<T>(
        &self,
        device: DeviceId,
        work: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let directory = self.dirs.path(device);
        work(&directory).map_err(|source| StoreError::unavailable(&directory, source))
    }

    fn lock_device(&self, device: DeviceId) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(device) % 64;
        self.stripes[usize::try_from(stripe).unwrap_or(0)].lock()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// Bodies that wait for the disk: 64 MiB in all.
const QUEUE_KIB: u32 = 64 * 1024;

const MAX_OBSERVATIONS: usize = 4096;
