//! The read side: for programs that have no runtime.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AnyPool, Row};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connect::pool;
use super::database::{self, StoredDatabase};
use super::device_pages;
use super::devices;
use super::engine::Engine;
use super::error::{open_error, unavailable};
use super::events;
use super::options::{SqlOptions, is_closed, with_locks};
use super::pages;
use super::schema::check_version;
use crate::{
    DeviceId, DevicePage, DeviceQuery, DeviceRecord, EventPage, EventQuery, OpenError, StoreError,
    Subscriber, Undelivered, redact,
};

/// What a store has recorded, to be read by anybody who may: beside a daemon that writes, and without
/// one. Writes nothing. Blocks: not for asynchronous tasks.
#[derive(Debug)]
pub struct StoreReader {
    pub(super) runtime: Runtime,
    pub(super) pool: AnyPool,
    pub(super) engine: Engine,
    /// Of a SQLite file that nobody had open: how it is to be read as soon as somebody has.
    with_locks: RefCell<Option<AnyConnectOptions>>,
}

impl StoreReader {
    /// Connects, and refuses a database whose schema is newer.
    pub fn open(options: &SqlOptions) -> Result<Self, OpenError> {
        let reader = Self::connect(options)?;
        let checked = check_version(&reader.pool, &reader.engine);
        reader.runtime.block_on(checked)?;
        Ok(reader)
    }

    /// Connects to a database of any schema, and to one that has none yet.
    pub(super) fn connect(options: &SqlOptions) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let engine = Engine::new(&options.url);
        require_file(&engine)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| open_error(&engine, error.into()))?;
        let connect = options.connect_options(false)?;
        let with_locks = with_locks(&connect);
        let pool = {
            let _context = runtime.enter();
            pool(connect, engine.read_settings(), 1)
        };
        Ok(Self {
            runtime,
            pool,
            engine,
            with_locks: RefCell::new(with_locks),
        })
    }

    /// The devices that a query asks for.
    pub fn devices(&self, query: &DeviceQuery) -> io::Result<DevicePage> {
        query.check_token().map_err(io::Error::other)?;
        self.read(async |connection| device_pages::devices(connection, query).await)
    }

    /// The events that a query asks for.
    pub fn events(&self, query: &EventQuery) -> io::Result<EventPage> {
        query.check_token().map_err(io::Error::other)?;
        self.read(async |connection| pages::events(connection, query).await)
    }

    /// What is known of a device.
    pub fn record(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        self.read(async |connection| devices::record(connection, device).await)
    }

    /// A device's last upload, with secret values replaced.
    pub fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        let config = self.config(device)?;
        Ok(config.map(|config| redact(&config)))
    }

    /// A device's last upload as it arrived: may hold Wi-Fi credentials.
    pub fn config(&self, device: DeviceId) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let body: Option<Vec<u8>> = self.read(async |connection| {
            let row = sqlx::query("SELECT body FROM configs WHERE device = $1")
                .bind(device.to_string())
                .fetch_optional(connection)
                .await?;
            row.map(|row| row.try_get(0)).transpose()
        })?;
        Ok(body.map(Zeroizing::new))
    }

    /// The database that a device is to have.
    pub fn database(&self, device: DeviceId) -> io::Result<Option<StoredDatabase>> {
        self.read(async |connection| database::stored(connection, device).await)
    }

    /// Its text, as it was dropped or set: with the credentials of users.
    pub fn database_body(&self, device: DeviceId) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        self.read(async |connection| database::body(connection, device).await)
    }

    /// The events of a device that a subscriber gave up, or of each of which it did.
    pub fn undelivered(
        &self,
        subscriber: Subscriber,
        device: Option<DeviceId>,
    ) -> io::Result<Vec<(DeviceId, Undelivered)>> {
        self.read(async |connection| events::undelivered(connection, subscriber, device).await)
    }

    /// Waits for what is read over the connection.
    pub(super) fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
    ) -> io::Result<T> {
        self.query(work).map_err(io::Error::other)
    }

    /// As [`read`](Self::read), with the error that a store has.
    pub(super) fn query<T>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let done = self.runtime.block_on(async {
            let work = async {
                self.lock_if_opened().await?;
                work(&mut *self.pool.acquire().await?).await
            };
            timeout(READ_TIMEOUT, work).await
        });
        done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| unavailable(&self.engine, error))
    }

    /// What is read without locks while a daemon writes may be half written, and never what it adds.
    async fn lock_if_opened(&self) -> Result<(), sqlx::Error> {
        let with_locks = match &self.engine {
            Engine::Sqlite { file } if !is_closed(file) => self.with_locks.take(),
            _ => None,
        };
        if let Some(with_locks) = with_locks {
            self.pool.acquire().await?.close().await?;
            self.pool.set_connect_options(with_locks);
        }
        Ok(())
    }
}

/// SQLite says of anything that it cannot be opened.
pub(super) fn require_file(engine: &Engine) -> Result<(), OpenError> {
    let Engine::Sqlite { file } = engine else {
        return Ok(());
    };
    let found = fs_err::metadata(file).map_err(|source| OpenError::Database {
        place: engine.place(),
        source: source.into(),
        hint: "the daemon makes it when it starts; is this the daemon's configuration?",
    });
    found.map(drop)
}

/// To find the first of each device's events since years ago takes a while.
const READ_TIMEOUT: Duration = Duration::from_mins(2);
