//! What everything that uses the database shares.

mod reconnect;
mod work;

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engage_wire::diagnostic::one_line;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use sqlx::{AnyConnection, Executor, Row};
use tracing::warn;

use super::connect::Pools;
use super::copies::Copies;
use super::damage::Damage;
use super::device_count;
use super::engine::{Engine, directory_of};
use super::error::unavailable;
use super::events;
use super::eviction::{Evicted, Evictions};
use super::health::HealthMonitor;
use super::hosts::{self, Hosts};
use super::options::SqlOptions;
use super::size::DatabaseSize;
use super::write_ahead_log::WriteAheadLog;
use crate::adoption::UnstoredSightings;
use crate::certificate_fetch::UnstoredFetches;
use crate::lease::Term;
use crate::owner_lock::OwnerLock;
use crate::quota::DeviceQuota;
use crate::subscribers::Subscribers;
use crate::{DeviceId, Health, OpenError, StoreError, StoreSize, StoreWarning, strays};
use reconnect::{Connected, connect};

/// What a database answers.
pub(super) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

pub(super) struct Shared {
    options: SqlOptions,
    engine: Engine,
    connected: RwLock<Connected>,
    /// Whether nothing is opened anew any more.
    is_closed: AtomicBool,
    /// Of the directory of SQLite's file.
    lock: tokio::sync::Mutex<Option<OwnerLock>>,
    pub(super) quota: Arc<DeviceQuota>,
    pub(super) evictions: Evictions,
    /// One body at a time: those that wait for a connection would keep acknowledgements waiting.
    pub(super) quarantining: tokio::sync::Semaphore,
    /// Rows that somebody changed, as they were told.
    left_out: Mutex<BTreeSet<String>>,
    /// As they were found last.
    strays: Mutex<Vec<StoreWarning>>,
    /// Of SQLite.
    log: Option<WriteAheadLog>,
    size: DatabaseSize,
    pub(super) health: HealthMonitor,
    pub(super) fetches: UnstoredFetches,
    pub(super) sightings: UnstoredSightings,
    pub(super) subscribers: Subscribers,
    pub(super) hosts: Hosts,
    /// Where files are written for people to read.
    copies: Option<Arc<Copies>>,
}

impl Shared {
    /// A SQLite file needs the lock of its directory.
    pub(super) async fn open(
        options: SqlOptions,
        lock: Option<OwnerLock>,
    ) -> Result<Self, OpenError> {
        let engine = Engine::new(&options.url);
        let shared = Self {
            connected: RwLock::new(connect(&options, &engine).await?),
            is_closed: AtomicBool::new(false),
            lock: tokio::sync::Mutex::new(lock),
            quota: Arc::default(),
            evictions: Evictions::default(),
            quarantining: tokio::sync::Semaphore::new(1),
            left_out: Mutex::default(),
            strays: Mutex::default(),
            log: match &engine {
                Engine::Sqlite { file } => Some(WriteAheadLog::new(file)),
                Engine::Postgres { .. } => None,
            },
            size: DatabaseSize::new(options.max_bytes),
            health: HealthMonitor::default(),
            fetches: UnstoredFetches::default(),
            sightings: UnstoredSightings::default(),
            subscribers: Subscribers::default(),
            hosts: Hosts::default(),
            copies: (options.json_files && options.directory.is_some()).then(Arc::default),
            options,
            engine,
        };
        shared.measure().await;
        Ok(shared)
    }

    pub(super) fn copies(&self) -> Option<&Arc<Copies>> {
        self.copies.as_ref()
    }

    /// Tells whoever copies a device that its row was written.
    pub(super) fn note_changed(&self, device: DeviceId) {
        if let Some(copies) = &self.copies {
            copies.changed.add(device);
        }
    }

    /// Whether this process has the lock of a directory.
    pub(super) async fn owns(&self, directory: &Path) -> bool {
        let lock = self.lock.lock().await;
        lock.as_ref().is_some_and(|lock| lock.is_of(directory))
    }

    /// Whether the database is a file in a directory.
    pub(super) fn is_beside_database(&self, directory: &Path) -> bool {
        matches!(&self.engine, Engine::Sqlite { file } if directory_of(file) == directory)
    }

    pub(super) fn pools(&self) -> Pools {
        self.connected.read().pools.clone()
    }

    /// Where `db.json` files are dropped.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.options.directory.as_deref()
    }

    /// Whether no other host may use this database and its folder: several may share a server.
    pub(super) fn is_only_host(&self) -> bool {
        matches!(self.engine, Engine::Sqlite { .. })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Under which this host is known to others.
    pub(super) async fn host_id(&self) -> Result<String, StoreError> {
        if self.is_only_host() {
            return Ok("only".to_owned());
        }
        let pool = self.pools().renewals;
        let term = self.limited(self.hosts.term(&pool)).await?;
        Ok(term.host().to_owned())
    }

    /// What time it is for the database, in microseconds since 1970.
    pub(super) async fn database_time(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<i64, sqlx::Error> {
        match self.engine.now() {
            Some(now) => connection.fetch_one(now).await?.try_get(0),
            None => Ok(Timestamp::now().as_microsecond()),
        }
    }

    fn damage(&self) -> Damage {
        self.connected.read().damage.clone()
    }

    /// The term that has a lease now; `None` while another host has it. Only for databases that
    /// hosts share.
    pub(super) async fn acquire(&self, lease: &str) -> Result<Option<Term>, sqlx::Error> {
        let pools = self.pools();
        let term = self.hosts.term(&pools.renewals).await?;
        let mut connection = pools.writes.acquire().await?;
        let is_acquired = hosts::acquire(&mut connection, lease, &term).await?;
        Ok(is_acquired.then_some(term))
    }

    /// Does a job of which one host is enough; nothing while another host is at it.
    pub(super) async fn run_alone(
        &self,
        job: &str,
        work: impl Future<Output = Result<(), sqlx::Error>>,
    ) -> Result<(), sqlx::Error> {
        if self.is_only_host() {
            return work.await;
        }
        let Some(term) = self.acquire(job).await? else {
            return Ok(());
        };
        tokio::select! {
            worked = work => worked?,
            () = term.ended() => return Ok(()),
        }
        let mut connection = self.pools().writes.acquire().await?;
        hosts::release(&mut connection, job, &term).await.map(drop)
    }

    /// Tells subscribers of every device with events that they have not taken: another host knew of
    /// them, and is gone.
    pub(super) async fn notify_of_pending(&self) -> Result<(), sqlx::Error> {
        for subscriber in self.subscribers.all() {
            let (pending, left_out) =
                events::pending(&mut *self.reader().await?, subscriber).await?;
            self.warn_of_left_out(left_out);
            for found in pending {
                self.subscribers.notify(found.device);
            }
        }
        Ok(())
    }

    pub(super) fn unavailable(&self, error: sqlx::Error) -> StoreError {
        unavailable(&self.engine, error)
    }

    /// Measures the database, for [`check_room`](Self::check_room). What cannot be measured stays as it
    /// was: whether it can be written is another matter.
    pub(super) async fn measure(&self) {
        let log_bytes = self.log.as_ref().map_or(0, WriteAheadLog::surplus);
        let measured = self.limited(async {
            let mut connection = self.reader().await?;
            let measured = self.size.measure(&mut connection, &self.engine, log_bytes);
            measured.await
        });
        let _ = measured.await;
    }

    pub(super) fn size(&self) -> Option<StoreSize> {
        self.size.get()
    }

    /// Fails where the database takes as much of the disk as it may for this device.
    pub(super) fn check_room(&self, is_registered: bool) -> Result<(), StoreError> {
        self.size.check(&self.engine, is_registered)
    }

    pub(super) fn health(&self) -> Health {
        match (self.health.get(), self.check_room(true)) {
            (Health::Writable, Err(full)) => Health::Failing {
                reason: one_line(&full),
            },
            (health, _) => health,
        }
    }

    /// Makes room for devices that called at these moments, within the transaction that is begun.
    pub(super) async fn evict(
        &self,
        connection: &mut AnyConnection,
        displacing: &[Timestamp],
    ) -> Result<Vec<Evicted>, sqlx::Error> {
        let Some(now) = displacing.iter().max() else {
            return Ok(Vec::new());
        };
        let subscribers = self.subscribers.all();
        let evictions = &self.evictions;
        evictions
            .evict(connection, &subscribers, *now, displacing.len())
            .await
    }

    /// That is committed.
    pub(super) fn evicted(&self, evicted: &[Evicted]) {
        self.quota.evicted(evicted.len());
        self.evictions.add(evicted);
        for device in evicted.iter().filter_map(Evicted::id) {
            self.note_changed(device);
        }
    }

    /// Counts the devices, for [`quota_warning`](Self::quota_warning).
    pub(super) async fn count_devices(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.reader().await?;
        let counted = device_count::count(&mut connection, &self.quota);
        counted.await.map(drop)
    }

    /// Looks for what stands in the directory and nobody reads, for
    /// [`warnings`](Self::warnings).
    pub(super) async fn look_for_strays(&self) {
        let Some(directory) = self.directory().map(Path::to_owned) else {
            return;
        };
        let found = tokio::task::spawn_blocking(move || strays(&directory).unwrap_or_default());
        let found = found.await.unwrap_or_default();
        let mut told = self.strays.lock();
        for stray in found.iter().filter(|stray| !told.contains(stray)) {
            warn!("stray folder in the device directory: {stray}");
        }
        *told = found;
    }

    /// Tells each once.
    pub(super) fn warn_of_left_out(&self, left_out: Vec<String>) {
        let mut told = self.left_out.lock();
        for text in left_out {
            if told.len() < MAX_LEFT_OUT && told.insert(text.clone()) {
                warn!("{text}; hint: somebody changed it: mend or remove it, or restore a backup");
            }
        }
    }

    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let mut warnings = self.strays.lock().clone();
        warnings.extend(self.quota.warning());
        if let (Ok(()), Err(full)) = (self.check_room(true), self.check_room(false)) {
            warnings.push(StoreWarning::LittleRoom(one_line(&full)));
        }
        warnings.extend(self.log.as_ref().and_then(WriteAheadLog::warning));
        warnings
    }

    /// Looks after SQLite's log, and says what was found in its file after it had been opened.
    pub(super) async fn maintain_file(&self) -> Result<(), sqlx::Error> {
        self.damage().check()?;
        match &self.log {
            Some(log) => log.maintain(&self.pools().writes).await,
            None => Ok(()),
        }
    }

    /// Tries a failing database, so that readiness returns even when no device calls.
    pub(super) async fn probe(&self) {
        if self.health.get() == Health::Writable {
            return;
        }
        // Its password may be another by now.
        if let Ok(connect) = self.options.connect_options(true) {
            self.pools().set_connect_options(&connect);
        }
        let probed = self.write(|connection| {
            let written = sqlx::query(
                "INSERT INTO moments (name, at) VALUES ('probe', $1) \
                 ON CONFLICT (name) DO UPDATE SET at = excluded.at",
            )
            .bind(Timestamp::now().as_microsecond());
            Box::pin(written.execute(connection))
        });
        if probed.await.is_ok() {
            self.health.recovered();
        }
    }
}

/// Whoever has seen as many looks at the database.
const MAX_LEFT_OUT: usize = 64;
