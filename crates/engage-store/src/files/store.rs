//! The store: opened once, shared by all routes.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, error, warn};

use super::database;
use super::device_dirs::{DeviceDirs, strays};
use super::disk::{Disk, RealDisk};
use super::health::{HealthMonitor, Part};
use super::quarantine::{FOLDER as QUARANTINE, Quarantine};
use super::reader::CONFIG_FILE;
use super::record_writer::{Observed, RecordWriter};
use super::recovery::recover_all;
use super::retention::Retention;
use super::writer::{Append, Writer};
use crate::record::UploadedEvents;
use crate::subscribers::Subscribers;
use crate::{
    Alert, AppendOutcome, AuditBatch, Call, ConfigUpload, Database, DeviceId, DeviceObservation,
    DeviceStore, EventKind, Health, KeepDays, OpenError, StoreError, StoreWarning, UploadKind,
};

/// The store over a directory that this process owns.
///
/// Dropping it waits until everything that was accepted is written, but not for a disk that hangs.
pub struct FileStore {
    pub(super) shared: Arc<Shared>,
    appends: Option<Sender<Append>>,
    records: Option<SyncSender<Observed>>,
    room: Arc<Semaphore>,
    /// Disconnected when both threads have ended.
    ended: Mutex<Receiver<()>>,
}

pub(super) struct Shared {
    pub(super) dirs: Arc<DeviceDirs>,
    health: Arc<HealthMonitor>,
    pub(super) subscribers: Arc<Subscribers>,
    quarantine: Mutex<Quarantine>,
    strays: Vec<StoreWarning>,
    /// One replacement at a time for each device; several devices at a time.
    stripes: [Mutex<()>; 64],
    hasher: RandomState,
}

impl FileStore {
    /// Takes a directory over, which is made if need be, puts right what a crash left, and opens the
    /// store. Looks at every device's folder: to be called on a thread that may block, while
    /// certificates are served.
    pub fn open(directory: &Path, keep: KeepDays) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk), directory, keep)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        root: &Path,
        keep: KeepDays,
    ) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::unusable(root, source);
        let dirs = Arc::new(DeviceDirs::open(root, disk)?);
        let health = Arc::new(HealthMonitor::new(Arc::clone(&dirs)));
        let unrecovered = recover_all(&dirs);
        for (device, error) in &unrecovered {
            health.impair(*device, Part::Events, error);
        }
        // For people to find; where it cannot be made, that is told when it is needed.
        let _ = dirs.disk.create_dir(&root.join(QUARANTINE));
        let strays = strays(root).unwrap_or_default();
        for stray in &strays {
            warn!("stray folder in the device directory: {stray}");
        }
        let subscribers = Arc::<Subscribers>::default();
        let needs_recovery = unrecovered.into_keys().collect();
        let writer = Writer::new(
            Arc::clone(&health),
            Arc::clone(&subscribers),
            needs_recovery,
        );
        let writer = writer.map_err(|error| unusable(io::Error::other(causes(&error))))?;
        let following = Arc::clone(&subscribers);
        let retention = Retention::new(root, keep, following, &*dirs.disk, Timestamp::now());
        let record_writer = RecordWriter::new(Arc::clone(&health));
        let (appends, appended) = channel();
        let (records, observations) = sync_channel(MAX_OBSERVATIONS);
        let (ends, ended) = channel();
        spawn("store-append", &ends, move || {
            writer.run(&appended, retention);
        })
        .map_err(unusable)?;
        spawn("store-records", &ends, move || {
            record_writer.run(&observations);
        })
        .map_err(unusable)?;
        Ok(Self {
            shared: Arc::new(Shared {
                dirs,
                health,
                subscribers,
                quarantine: Mutex::default(),
                strays,
                stripes: std::array::from_fn(|_| Mutex::new(())),
                hasher: RandomState::new(),
            }),
            appends: Some(appends),
            records: Some(records),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            ended: Mutex::new(ended),
        })
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
    pub(super) async fn blocking<T: Send + 'static>(
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
            let directory = shared.dirs.path(device);
            let disk = &*shared.dirs.disk;
            shared
                .dirs
                .writing(|_| Ok(database::load(&directory, disk)))
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

impl Drop for FileStore {
    fn drop(&mut self) {
        // Without senders the threads finish what they have, and end.
        self.appends = None;
        self.records = None;
        if self.ended.get_mut().recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            error!(
                path = %self.shared.dirs.root().display(),
                "the device store does not end: its disk hangs; what it was writing was not acknowledged"
            );
        }
    }
}

impl Shared {
    fn save_config(&self, call: &Call, upload: &ConfigUpload) -> Result<(), StoreError> {
        let _one_at_a_time = self.lock_device(call.device);
        let saved = self.dirs.ensure(call).and_then(|directory| {
            let path = directory.join(CONFIG_FILE);
            self.dirs.replace(&path, upload.as_bytes())
        });
        match &saved {
            Ok(()) => self.health.stored(call.device, Part::Others),
            Err(error) => self.health.failed(call.device, Part::Others, error),
        }
        saved
    }

    fn quarantine(&self, call: &Call, kind: UploadKind, body: &[u8]) -> Result<(), StoreError> {
        let root = self.dirs.root();
        let kept = self.dirs.writing(|lock| {
            let (root, disk) = ((root, lock.identity), &*self.dirs.disk);
            let kept = self.quarantine.lock().keep(root, disk, call, kind, body);
            kept.map_err(|source| StoreError::unavailable(root.0, source))?;
            if let Err(error) = self.dirs.ensure(call) {
                debug!(device = %call.device, %error, "no record of device {} is begun", call.device);
            }
            Ok(())
        });
        if let Err(error) = &kept {
            self.health.failed(call.device, Part::Others, error);
        }
        kept
    }

    fn lock_device(&self, device: DeviceId) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(device) % 64;
        self.stripes[usize::try_from(stripe).unwrap_or(0)].lock()
    }
}

/// A panic is logged by the hook; the store is closed then.
fn spawn(name: &str, ends: &Sender<()>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let end = ends.clone();
    let work = move || {
        let _end = end;
        work();
    };
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

/// Bodies that wait for the disk: 64 MiB in all.
const QUEUE_KIB: u32 = 64 * 1024;

const MAX_OBSERVATIONS: usize = 4096;

/// For what is written when it ends: records of devices. Whoever delivered has been answered.
const END_TIMEOUT: Duration = Duration::from_secs(3);
