//! The store: opened once, shared by all routes.

use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use parking_lot::Mutex;
use sqlx::AnyConnection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

use super::address::DatabaseUrl;
use super::append::{Upload, UploadBody};
use super::connect::{beside, directory_of};
use super::database::{self, DroppedDatabase};
use super::hosts::RENEW_INTERVAL;
use super::json_files::JsonFiles;
use super::observations::{Observations, Observed};
use super::options::SqlOptions;
use super::quarantine::LIMITS;
use super::retention::Retention;
use super::shared::Shared;
use super::writer::{Waiting, Writer};
use super::{devices, events, hosts, pages, quarantine};
use crate::owner_lock::OwnerLock;
use crate::regular::require_regular;
use crate::{
    Alert, AppendOutcome, AppendedDevices, AuditBatch, BatchLimit, Call, CertificateFetch,
    ConfigUpload, Cursor, Database, DeviceId, DeviceObservation, DevicePage, DeviceQuery,
    DeviceStore, EventBatch, EventKind, EventLog, EventPage, EventQuery, Health, KeepDays, Lease,
    OpenError, PendingDevice, StoreError, StoreQueries, StoreWarning, Subscriber, UploadKind,
};

/// The store over a database.
///
/// It has a thread of its own, on which all its tasks run: whoever calls waits for them there, and
/// certificates are served by other threads. Dropping it waits until everything that was accepted
/// is written, but not for a database that hangs.
pub struct SqlStore {
    pub(super) shared: Arc<Shared>,
    runtime: Handle,
    uploads: Option<mpsc::Sender<Waiting>>,
    observed: Option<mpsc::Sender<Observed>>,
    room: Arc<Semaphore>,
    /// Nothing is ever sent; disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// What the store's thread hands out.
struct Opened {
    shared: Arc<Shared>,
    runtime: Handle,
    uploads: mpsc::Sender<Waiting>,
    observed: mpsc::Sender<Observed>,
}

impl SqlStore {
    /// Connects, and brings the schema up to date. Blocks for some seconds at most, but for a
    /// migration.
    pub fn open(options: SqlOptions, keep: KeepDays) -> Result<Self, OpenError> {
        let lock = claim(&options.url)?;
        let (opened, opening) = sync_channel(1);
        let (ending, ended) = sync_channel(0);
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            let _ending: SyncSender<()> = ending;
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(source) => {
                    let _ = opened.send(Err(OpenError::unusable(Path::new("/"), source)));
                    return;
                }
            };
            runtime.block_on(run(options, lock, keep, |it| opened.send(it).is_ok()));
        });
        thread.map_err(|source| OpenError::unusable(Path::new("/"), source))?;
        let opened = opening.recv().unwrap_or_else(|_| {
            let source = std::io::Error::other("its thread has ended");
            Err(OpenError::unusable(Path::new("/"), source))
        });
        let Opened {
            shared,
            runtime,
            uploads,
            observed,
        } = opened?;
        Ok(Self {
            shared,
            runtime,
            uploads: Some(uploads),
            observed: Some(observed),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            ended: Mutex::new(ended),
        })
    }

    /// Waits for a place in the next transaction; not when there is none.
    async fn upload(&self, upload: Upload, weight_kib: u32) -> Result<AppendOutcome, StoreError> {
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(weight_kib.min(QUEUE_KIB))
            .map_err(|_| StoreError::Busy)?;
        let (answer, acknowledged) = oneshot::channel();
        let waiting = Waiting {
            upload,
            answer,
            _room: room,
        };
        let queue = self.uploads.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        acknowledged.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn append(
        &self,
        call: &Call,
        kind: EventKind,
        batch: crate::record::UploadedEvents,
    ) -> Result<AppendOutcome, StoreError> {
        let weight_kib = batch.weight_kib();
        let body = UploadBody::Events(kind, batch);
        self.upload(Upload { call: *call, body }, weight_kib).await
    }

    /// Reads on the store's thread.
    async fn reading<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let read = shared.limited(async {
                let mut connection = shared.reader().await?;
                work(&mut connection).await
            });
            read.await
        })
        .await
    }

    /// Writes on the store's thread: all of it, durably, or nothing.
    async fn writing<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let written = shared.limited(async {
                let mut transaction = shared.begin().await?;
                let written = work(&mut transaction).await?;
                shared.commit(transaction).await?;
                Ok(written)
            });
            written.await
        })
        .await
    }

    /// Runs work on the store's thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.runtime.spawn(work).await;
        done.unwrap_or(Err(StoreError::Closed))
    }
}

/// What a database answers.
pub(super) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

/// A SQLite file is owned by one process; a server keeps its hosts apart itself.
fn claim(url: &DatabaseUrl) -> Result<Option<OwnerLock>, OpenError> {
    let DatabaseUrl::Sqlite(file) = url else {
        return Ok(None);
    };
    let directory = directory_of(file);
    crate::mode::create_dir(directory).map_err(|source| OpenError::unusable(directory, source))?;
    for file in [file.clone(), beside(file, "-wal"), beside(file, "-shm")] {
        require_regular(&file).map_err(|source| OpenError::unusable(&file, source))?;
    }
    OwnerLock::acquire(directory).map(Some)
}

/// Hands over what was opened, and works until all of it is given back.
async fn run(
    options: SqlOptions,
    lock: Option<OwnerLock>,
    keep: KeepDays,
    opened: impl FnOnce(Result<Opened, OpenError>) -> bool,
) {
    let shared = match Shared::open(options, lock).await {
        Ok(shared) => Arc::new(shared),
        Err(error) => {
            opened(Err(error));
            return;
        }
    };
    let (uploads, uploaded) = mpsc::channel(MAX_WAITING);
    let (observed, observations) = mpsc::channel(MAX_OBSERVATIONS);
    let handed_over = opened(Ok(Opened {
        shared: Arc::clone(&shared),
        runtime: Handle::current(),
        uploads,
        observed,
    }));
    if handed_over {
        work(&shared, keep, uploaded, observations).await;
    }
    shared.pools().close().await;
}

async fn work(
    shared: &Arc<Shared>,
    keep: KeepDays,
    uploaded: mpsc::Receiver<Waiting>,
    observed: mpsc::Receiver<Observed>,
) {
    let maintenance = tokio::spawn(maintain(Arc::clone(shared), Retention::new(keep)));
    let renewals = tokio::spawn(keep_alive(Arc::clone(shared)));
    let copies = shared.copies().zip(shared.directory());
    let json_files =
        copies.map(|(copies, root)| JsonFiles::start(shared, copies, root.to_owned(), keep));
    let writer = Writer {
        shared: Arc::clone(shared),
        observations: Observations::default(),
    };
    let looking = tokio::spawn(look_for_strays(Arc::clone(shared)));
    writer.run(uploaded, observed).await;
    maintenance.abort();
    looking.abort();
    renewals.abort();
    let _ = renewals.await;
    if let Err(error) = shared.hosts.leave(&shared.pools().renewals).await {
        let error = causes(&shared.unavailable(error));
        warn!(
            error,
            "failed to give back what this host delivers; others wait until its leases expire"
        );
    }
    if let Some(json_files) = json_files {
        json_files.finish().await;
    }
}

/// Beside the writer: to remove a year of events takes a while.
async fn maintain(shared: Arc<Shared>, mut retention: Retention) {
    let mut counted: Option<Instant> = None;
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.probe().await;
        if counted.is_none_or(|counted| counted.elapsed() >= COUNT_INTERVAL) {
            counted = Some(Instant::now());
            let _ = shared.count_devices().await;
        }
        for maintained in [
            shared.maintain_file().await,
            apply_if_due(&shared, &mut retention).await,
        ] {
            if let Err(error) = maintained {
                shared.health.failed(&shared.unavailable(error));
            }
        }
    }
}

/// Where another host is at it, that is as good.
async fn apply_if_due(shared: &Shared, retention: &mut Retention) -> Result<(), sqlx::Error> {
    let (subscribers, pool) = (shared.subscribers.all(), shared.pools().writes);
    let (monotonic, now) = (Instant::now(), Timestamp::now());
    if !retention.is_due(monotonic, now, &pool).await? {
        return Ok(());
    }
    let applied = retention.apply(now, &pool, &subscribers);
    shared.run_alone("retention", applied).await?;
    retention.set_applied(monotonic);
    Ok(())
}

/// Says every few seconds that this host lives, and looks for what a host that is gone has left.
/// For ever, where there may be other hosts.
async fn keep_alive(shared: Arc<Shared>) {
    if shared.is_only_host() {
        return;
    }
    let mut ticks = interval(RENEW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let renewed = match shared.hosts.renew(&shared.pools().renewals).await {
            Ok(true) => shared.notify_of_pending().await,
            renewed => renewed.map(drop),
        };
        if let Err(error) = renewed {
            shared.health.failed(&shared.unavailable(error));
        }
    }
}

/// By itself: a file server may hang.
async fn look_for_strays(shared: Arc<Shared>) {
    let mut ticks = interval(COUNT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.look_for_strays().await;
    }
}

#[async_trait]
impl DeviceStore for SqlStore {
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError> {
        self.append(call, EventKind::Audits, batch.into_events())
            .await
    }

    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError> {
        self.append(call, EventKind::Alerts, alert.into_events())
            .await
    }

    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError> {
        let weight_kib = u32::try_from(upload.as_bytes().len() / 1024 + 1).unwrap_or(u32::MAX);
        let body = UploadBody::Config(upload);
        let saved = self.upload(Upload { call: *call, body }, weight_kib);
        saved.await.map(drop)
    }

    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError> {
        let (shared, call) = (Arc::clone(&self.shared), *call);
        let kept = self.writing(move |connection| {
            Box::pin(async move {
                quarantine::keep(connection, &LIMITS, &call, kind, &body).await?;
                quarantine::make_known(connection, &shared.quota, &call).await
            })
        });
        let admitted = kept.await;
        let mut admitted = admitted.inspect_err(|error| self.shared.health.failed(error))?;
        admitted.stored(call.device);
        Ok(())
    }

    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let found = self.run(async move {
            let directory = shared.directory().map(Path::to_owned);
            let reading = tokio::task::spawn_blocking(move || match directory {
                Some(directory) => DroppedDatabase::read(&directory, device),
                None => DroppedDatabase::Nothing,
            });
            let dropped = reading.await.map_err(|_| StoreError::Closed)?;
            shared
                .limited(database::current(&shared, device, dropped, now))
                .await
        });
        let (database, refused) = found.await?;
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
        if let Some(queue) = &self.observed
            && queue.try_send(observed).is_err()
        {
            tracing::debug!(%device, "too many observations at once; one is lost");
        }
    }

    fn fetched(&self, fetch: CertificateFetch) {
        self.shared.fetches.add(fetch);
    }

    async fn last_tls_session(&self, address: IpAddr) -> Result<Option<Timestamp>, StoreError> {
        self.reading(move |connection| Box::pin(devices::last_tls_session(connection, address)))
            .await
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        let copies = self.shared.copies();
        let copies = copies.map(|copies| copies.problems.warnings());
        let mut warnings = self.shared.warnings();
        warnings.extend(copies.unwrap_or_default());
        warnings
    }
}

#[async_trait]
impl EventLog for SqlStore {
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices) {
        self.shared.subscribers.add(subscriber, appended);
    }

    async fn acquire(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Option<Lease>, StoreError> {
        let mut lease = Lease {
            subscriber,
            device,
            term: None,
        };
        if self.shared.is_only_host() {
            return Ok(Some(lease));
        }
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let acquired = shared.limited(shared.acquire(&lease.name())).await?;
            Ok(acquired.map(|term| {
                lease.term = Some(term);
                lease
            }))
        })
        .await
    }

    async fn load_cursor(&self, lease: &Lease) -> Result<Cursor, StoreError> {
        let (subscriber, device) = (lease.subscriber, lease.device);
        self.reading(move |connection| {
            Box::pin(events::load_cursor(connection, subscriber, device))
        })
        .await
    }

    async fn next_batch(
        &self,
        lease: &Lease,
        cursor: Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        let device = lease.device;
        self.reading(move |connection| {
            Box::pin(events::next_batch(connection, device, cursor, limit))
        })
        .await
    }

    async fn set_aside(
        &self,
        lease: &Lease,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (batch, reason) = (batch.clone(), reason.to_owned());
        let Lease {
            subscriber, device, ..
        } = *lease;
        let held = lease.clone();
        let is_held = self.writing(move |connection| {
            Box::pin(async move {
                if let Some(term) = &held.term
                    && !hosts::lock(connection, &held.name(), term).await?
                {
                    return Ok(false);
                }
                events::set_aside(connection, subscriber, device, &batch, &reason).await?;
                Ok(true)
            })
        });
        require(is_held.await?, device)
    }

    async fn release(&self, lease: Lease, taken: Option<Cursor>) -> Result<(), StoreError> {
        let Lease {
            subscriber, device, ..
        } = lease;
        if lease.term.is_none() && taken.is_none() {
            return Ok(());
        }
        let is_held = self.writing(move |connection| {
            Box::pin(async move {
                if let Some(term) = &lease.term
                    && !hosts::release(connection, &lease.name(), term).await?
                {
                    return Ok(false);
                }
                if let Some(cursor) = taken {
                    events::commit_cursor(connection, subscriber, device, cursor).await?;
                }
                Ok(true)
            })
        });
        require(is_held.await?, device)
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        self.reading(move |connection| Box::pin(events::pending(connection, subscriber)))
            .await
    }
}

fn require(is_held: bool, device: DeviceId) -> Result<(), StoreError> {
    is_held
        .then_some(())
        .ok_or(StoreError::LeaseLost { device })
}

#[async_trait]
impl StoreQueries for SqlStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<DevicePage, StoreError> {
        let query = query.clone();
        self.reading(move |connection| {
            Box::pin(async move { pages::devices(connection, &query).await })
        })
        .await
    }

    async fn events(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        let query = query.clone();
        self.reading(move |connection| {
            Box::pin(async move { pages::events(connection, &query).await })
        })
        .await
    }
}

impl Drop for SqlStore {
    fn drop(&mut self) {
        // Without senders the thread finishes what it has, and ends.
        self.uploads = None;
        self.observed = None;
        if self.ended.get_mut().recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            error!(
                "the device store does not end: its database hangs; what it was writing was not acknowledged"
            );
        }
    }
}

/// Bodies that wait for the database: 64 MiB in all.
const QUEUE_KIB: u32 = 64 * 1024;

/// A database that hangs does not keep the daemon from ending.
const END_TIMEOUT: Duration = Duration::from_secs(3);

const MAX_WAITING: usize = 4096;

const MAX_OBSERVATIONS: usize = 4096;

/// For the warning that there are too many.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// How often a failing database is tried, and the clock is looked at.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(2);
