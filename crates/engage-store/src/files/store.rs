//! The store: opened once, shared by all routes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use super::device_dirs::DeviceDirs;
use super::disk::{Disk, RealDisk};
use super::error::OpenError;
use super::health::HealthFlag;
use super::line::StoredEvent;
use super::lock::OwnerLock;
use super::observer::StoreObserver;
use super::reader::{CONFIG_FILE, StoreReader};
use super::record_writer::{RecordCommand, RecordWriter};
use super::recovery::truncate_torn_tails;
use super::retention::{KeepDays, Retention};
use super::torn_tail::TornTail;
use super::writer::{Append, Writer};
use super::{database, quarantine};
use crate::record::EventBatch;
use crate::store::Pending;
use crate::{
    Alert, AppendOutcome, AuditBatch, ConfigUpload, Database, DeviceId, DeviceObservation,
    DeviceRecord, DeviceStore, EventKind, Health, StoreError, UploadKind,
};

/// The store over a directory that this process owns.
///
/// Dropping it waits until everything that was accepted is written.
pub struct FileStore {
    shared: Arc<Shared>,
    appends: Option<Sender<Append>>,
    notes: Option<SyncSender<RecordCommand>>,
    room: Arc<Semaphore>,
    torn: Vec<TornTail>,
    threads: Vec<JoinHandle<()>>,
    /// Last, so that it is given back last.
    _lock: OwnerLock,
}

struct Shared {
    archive: StoreReader,
    directories: Arc<DeviceDirs>,
    disk: Arc<dyn Disk>,
    health: Arc<HealthFlag>,
    /// One replacement at a time for each device; several devices at a time.
    stripes: [Mutex<()>; 64],
}

impl FileStore {
    /// Takes the directory over, creates it if need be, and sets aside what a crash left torn.
    pub fn open(directory: &Path, keep: KeepDays) -> Result<Self, OpenError> {
        Self::open_observed(directory, keep, Arc::new(()))
    }

    /// The same, with somebody who is told what happens to the files.
    pub fn open_observed(
        directory: &Path,
        keep: KeepDays,
        observer: Arc<dyn StoreObserver>,
    ) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk), directory, keep, observer)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        keep: KeepDays,
        observer: Arc<dyn StoreObserver>,
    ) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::unusable(directory, source);
        disk.create_dir(directory).map_err(unusable)?;
        let lock = OwnerLock::acquire(directory)?;
        let torn = truncate_torn_tails(directory)?;
        let directories = DeviceDirs::open(directory, Arc::clone(&disk)).map_err(unusable)?;
        let shared = Arc::new(Shared {
            archive: StoreReader::new(directory),
            directories: Arc::new(directories),
            disk,
            health: Arc::default(),
            stripes: std::array::from_fn(|_| Mutex::new(())),
        });
        let (appends, appended) = channel();
        let (notes, noted) = sync_channel(MAX_NOTES);
        let writer = shared.writer(Retention::new(directory, keep), observer);
        let notebook = shared.notebook();
        let threads = vec![
            spawn("store-append", move || writer.run(&appended)).map_err(unusable)?,
            spawn("store-notes", move || notebook.run(&noted)).map_err(unusable)?,
        ];
        Ok(Self {
            shared,
            appends: Some(appends),
            notes: Some(notes),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            torn,
            threads,
            _lock: lock,
        })
    }

    /// What was found half-written when the store was opened.
    #[must_use]
    pub fn torn(&self) -> &[TornTail] {
        &self.torn
    }

    /// The read side, which needs no ownership.
    #[must_use]
    pub fn archive(&self) -> &StoreReader {
        &self.shared.archive
    }

    /// Waits until all notes taken so far are written. Blocks the thread.
    pub fn flush_observations(&self) {
        let (done, written) = sync_channel(1);
        if let Some(notes) = &self.notes
            && notes.send(RecordCommand::Flush(done)).is_ok()
        {
            let _ = written.recv();
        }
    }

    async fn append(
        &self,
        device: DeviceId,
        log: EventKind,
        batch: EventBatch,
        received_at: Timestamp,
    ) -> Result<AppendOutcome, StoreError> {
        let room = Arc::clone(&self.room)
            .acquire_many_owned(batch.weight_kib().min(QUEUE_KIB))
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, acknowledged) = oneshot::channel();
        let append = Append {
            device,
            log,
            batch,
            received_at,
            answer,
            _room: room,
        };
        let queue = self.appends.as_ref().ok_or(StoreError::Closed)?;
        queue.send(append).map_err(|_| StoreError::Closed)?;
        acknowledged.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs what waits for the disk where waiting harms nobody.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let outcome = tokio::task::spawn_blocking(move || {
                let outcome = work(&shared);
                if let Err(error) = &outcome {
                    shared.health.note(error);
                }
                outcome
            });
            outcome.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl DeviceStore for FileStore {
    fn append_audits(
        &self,
        device: DeviceId,
        batch: AuditBatch,
        received_at: Timestamp,
    ) -> Pending<'_, AppendOutcome> {
        Box::pin(async move {
            let batch = batch.into_events();
            let acknowledged = self
                .append(device, EventKind::Audits, batch, received_at)
                .await?;
            self.observe(device, DeviceObservation::AuditsStored, received_at);
            Ok(acknowledged)
        })
    }

    fn append_alert(
        &self,
        device: DeviceId,
        alert: Alert,
        received_at: Timestamp,
    ) -> Pending<'_, AppendOutcome> {
        Box::pin(self.append(device, EventKind::Alerts, alert.into_events(), received_at))
    }

    fn save_config(
        &self,
        device: DeviceId,
        upload: ConfigUpload,
        received_at: Timestamp,
    ) -> Pending<'_, ()> {
        Box::pin(async move {
            let properties = upload.properties();
            self.blocking(move |shared| shared.save_config(device, &upload))
                .await?;
            self.observe(
                device,
                DeviceObservation::ConfigSaved(properties),
                received_at,
            );
            Ok(())
        })
    }

    fn quarantine(
        &self,
        device: DeviceId,
        call: UploadKind,
        body: Bytes,
        received_at: Timestamp,
    ) -> Pending<'_, ()> {
        self.blocking(move |shared| {
            let root = shared.directories.root();
            let _one_at_a_time = shared.stripes[0].lock();
            quarantine::keep(root, &*shared.disk, device, call, &body, received_at)
                .map_err(|source| StoreError::unavailable(root, source))
        })
    }

    fn database(&self, device: DeviceId, now: Timestamp) -> Pending<'_, Option<Database>> {
        Box::pin(async move {
            let dropped = self.blocking(move |shared| {
                let _one_at_a_time = shared.lock_device(device);
                Ok(database::load(
                    &shared.directories.of(device),
                    &*shared.disk,
                ))
            });
            let database::LoadedDatabase { database, refused } = dropped.await?;
            self.observe(device, DeviceObservation::DatabaseChecked { refused }, now);
            Ok(database)
        })
    }

    fn observe(&self, device: DeviceId, note: DeviceObservation, at: Timestamp) {
        if let Some(notes) = &self.notes
            && notes
                .try_send(RecordCommand::Note(device, note, at))
                .is_err()
        {
            tracing::debug!(%device, "too many notes at once; one is lost");
        }
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn list(&self) -> Pending<'_, Vec<DeviceRecord>> {
        self.blocking(|shared| {
            let root = shared.directories.root();
            shared
                .archive
                .list()
                .map_err(|source| StoreError::unavailable(root, source))
        })
    }

    fn show(&self, device: DeviceId) -> Pending<'_, Option<DeviceRecord>> {
        self.blocking(move |shared| {
            let path = shared.directories.of(device);
            shared
                .archive
                .show(device)
                .map_err(|source| StoreError::unavailable(&path, source))
        })
    }

    fn events(
        &self,
        device: Option<DeviceId>,
        log: EventKind,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Pending<'_, Vec<StoredEvent>> {
        self.blocking(move |shared| {
            let failed = |source| StoreError::unavailable(shared.directories.root(), source);
            let archive = &shared.archive;
            let devices = device.map_or_else(|| archive.devices(), |device| Ok(vec![device]));
            let mut events = Vec::new();
            for device in devices.map_err(failed)? {
                for event in archive.events(device, log, since).map_err(failed)? {
                    if events.len() == limit {
                        return Ok(events);
                    }
                    events.push(event.map_err(failed)?);
                }
            }
            Ok(events)
        })
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        // Without senders the threads finish what they have, and end.
        self.appends = None;
        self.notes = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the device store has panicked");
            }
        }
    }
}

impl Shared {
    fn writer(&self, retention: Retention, observer: Arc<dyn StoreObserver>) -> Writer {
        Writer::new(
            Arc::clone(&self.directories),
            Arc::clone(&self.disk),
            Arc::clone(&self.health),
            retention,
            observer,
        )
    }

    fn notebook(&self) -> RecordWriter {
        RecordWriter {
            directories: Arc::clone(&self.directories),
            disk: Arc::clone(&self.disk),
            health: Arc::clone(&self.health),
            archive: self.archive.clone(),
            dirty: HashMap::new(),
        }
    }

    fn save_config(&self, device: DeviceId, upload: &ConfigUpload) -> Result<(), StoreError> {
        let path = self.directories.ensure(device)?.join(CONFIG_FILE);
        let _one_at_a_time = self.lock_device(device);
        self.disk
            .replace(&path, upload.as_bytes())
            .map_err(|source| StoreError::unavailable(&path, source))?;
        self.health.recovered();
        Ok(())
    }

    fn lock_device(&self, device: DeviceId) -> std::sync::MutexGuard<'_, ()> {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % 64).unwrap_or(0);
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, std::io::Error> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// Bodies that wait for the disk: 64 MiB in all.
const QUEUE_KIB: u32 = 64 * 1024;

const MAX_NOTES: usize = 4096;
