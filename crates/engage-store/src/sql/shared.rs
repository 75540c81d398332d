//! What everything that uses the database shares.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use sqlx::any::Any;
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, Executor};
use tracing::{error, warn};

use super::connect::{Engine, MAX_STATEMENT, Pools, directory_of};
use super::damage::Damage;
use super::devices;
use super::error::unavailable;
use super::events;
use super::eviction::{self, Evicted, Evictions};
use super::health::HealthMonitor;
use super::hosts::{self, Hosts};
use super::json_files::Copies;
use super::options::SqlOptions;
use super::retention::Retention;
use super::schema::migrate;
use super::size::DatabaseSize;
use super::transaction::WriteTransaction;
use super::write_ahead_log::WriteAheadLog;
use crate::certificate_fetch::UnstoredFetches;
use crate::file_identity::{FileIdentity, look_up};
use crate::lease::Term;
use crate::owner_lock::OwnerLock;
use crate::quota::DeviceQuota;
use crate::subscribers::Subscribers;
use crate::{DeviceId, Health, OpenError, StoreError, StoreWarning, strays};

/// What a database answers.
pub(super) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

pub(super) struct Shared {
    options: SqlOptions,
    engine: Engine,
    connected: RwLock<Connected>,
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
    pub(super) subscribers: Subscribers,
    pub(super) hosts: Hosts,
    /// Where files are written for people to read.
    copies: Option<Arc<Copies>>,
}

#[derive(Clone)]
struct Connected {
    pools: Pools,
    /// Of SQLite's file; `None` where there is none to look at.
    file: Option<FileIdentity>,
    damage: Damage,
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
            lock: tokio::sync::Mutex::new(lock),
            quota: Arc::default(),
            evictions: Evictions::default(),
            quarantining: tokio::sync::Semaphore::new(1),
            left_out: Mutex::default(),
            strays: Mutex::default(),
            log: match &engine {
                Engine::Sqlite { file } => Some(WriteAheadLog::of(file)),
                Engine::Postgres { .. } => None,
            },
            size: DatabaseSize::new(options.max_bytes),
            health: HealthMonitor::default(),
            fetches: UnstoredFetches::default(),
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

    pub(super) async fn begin(&self) -> Result<WriteTransaction, sqlx::Error> {
        self.reconnect_if_replaced().await?;
        self.damage().check()?;
        WriteTransaction::begin(&self.pools().writes).await
    }

    /// Makes it durable; and a file, or a log, that somebody removed meanwhile holds nothing.
    pub(super) async fn commit(&self, transaction: WriteTransaction) -> Result<(), sqlx::Error> {
        transaction.commit().await?;
        if self.is_replaced()? || self.log.as_ref().is_some_and(|log| !log.exists()) {
            // The last connection to close writes what the log holds into the file.
            self.pools().close().await;
            let text = "the file or its log was removed or replaced meanwhile";
            return Err(io::Error::other(text).into());
        }
        Ok(())
    }

    fn damage(&self) -> Damage {
        self.connected.read().damage.clone()
    }

    /// It may have to be opened: by a name that may stand for another file by now.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        self.reconnect_if_replaced().await?;
        self.pools().reads.acquire().await
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

    /// Reads in the time that there is for it.
    pub(super) async fn read<T>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T>,
    ) -> Result<T, StoreError> {
        self.limited(async {
            let mut connection = self.reader().await?;
            work(&mut connection).await
        })
        .await
    }

    /// Writes in the time that there is for it: all of it, durably, or nothing.
    pub(super) async fn write<T>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T>,
    ) -> Result<T, StoreError> {
        self.limited(async {
            let mut transaction = self.begin().await?;
            let written = work(&mut transaction).await?;
            self.commit(transaction).await?;
            Ok(written)
        })
        .await
    }

    /// For what cannot be stored or read within the time there is.
    pub(super) async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let done = tokio::time::timeout(MAX_WORK, work).await;
        done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| self.unavailable(error))
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

    /// Fails where the database takes as much of the disk as it may.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        self.size.check(&self.engine)
    }

    pub(super) fn health(&self) -> Health {
        match (self.health.get(), self.check_room()) {
            (Health::Writable, Err(full)) => Health::Failing {
                reason: causes(&full),
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
        eviction::evict(connection, &subscribers, *now, displacing.len()).await
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
        let counted = devices::count(&mut connection, &self.quota);
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

    fn is_replaced(&self) -> Result<bool, sqlx::Error> {
        let Engine::Sqlite { file } = &self.engine else {
            return Ok(false);
        };
        let found = look_up(file)?;
        Ok(found != self.connected.read().file)
    }

    fn needs_reconnect(&self) -> Result<bool, sqlx::Error> {
        Ok(self.is_replaced()? || self.pools().writes.is_closed())
    }

    /// What was written into a file that has no name any more would be gone: begins anew with what
    /// is there now. A directory that is gone is not made anew: it may come back.
    async fn reconnect_if_replaced(&self) -> Result<(), sqlx::Error> {
        if !self.needs_reconnect()? {
            return Ok(());
        }
        let mut lock = self.lock.lock().await;
        if !self.needs_reconnect()? {
            return Ok(());
        }
        let failed = |error| sqlx::Error::Configuration(Box::new(error));
        if let (Some(owned), Engine::Sqlite { file }) = (lock.as_mut(), &self.engine) {
            let directory = directory_of(file);
            if look_up(directory)?.is_none() {
                let text = format!(
                    "device directory `{}` was moved or removed",
                    directory.display()
                );
                return Err(io::Error::new(io::ErrorKind::NotFound, text).into());
            }
            if !owned.is_of(directory) {
                *owned = OwnerLock::acquire(directory).map_err(failed)?;
            }
        }
        let place = self.engine.place();
        error!(
            "the database {place} was removed or replaced while it was in use; going on with what is there now"
        );
        self.pools().close().await;
        let connected = connect(&self.options, &self.engine).await;
        *self.connected.write() = connected.map_err(failed)?;
        Ok(())
    }
}

async fn connect(options: &SqlOptions, engine: &Engine) -> Result<Connected, OpenError> {
    let damage = Damage::look(options, engine, MAX_LOOK).await?;
    let pools = Pools::connect(options, engine).await?;
    let migrated = async {
        migrate(&pools.writes, engine).await?;
        let failed = |error| super::error::open_error(engine, error);
        let mut connection = pools.writes.acquire().await.map_err(failed)?;
        let taken_down = Retention::take_down_first(&mut connection, Timestamp::now());
        taken_down.await.map_err(failed)?;
        warn_of_server(&mut connection, engine).await;
        Ok(())
    };
    if let Err(error) = migrated.await {
        pools.close().await;
        return Err(error);
    }
    let file = match engine {
        Engine::Sqlite { file } => {
            look_up(file).map_err(|source| OpenError::unusable(file, source))?
        }
        Engine::Postgres { .. } => None,
    };
    Ok(Connected {
        pools,
        file,
        damage,
    })
}

/// A server may be set to acknowledge what it has not made durable, and no session can change that.
async fn warn_of_server(connection: &mut AnyConnection, engine: &Engine) {
    use sqlx::Row;

    if let Engine::Postgres { .. } = engine
        && let Ok(row) = connection.fetch_one("SHOW fsync").await
        && row
            .try_get::<String, _>(0)
            .is_ok_and(|value| value == "off")
    {
        let place = engine.place();
        warn!("the server of {place} has `fsync = off`: what it acknowledges can be lost");
    }
}

/// For which a start waits: long files are looked through while they are used.
const MAX_LOOK: Duration = Duration::from_millis(250);

/// Whoever has seen as many looks at the database.
const MAX_LEFT_OUT: usize = 64;

/// A transaction of several statements.
const MAX_WORK: Duration = MAX_STATEMENT.saturating_mul(2);
