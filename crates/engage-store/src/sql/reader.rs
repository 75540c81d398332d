//! The read side: for programs that have no runtime.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyPool, Row};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::connect::{Engine, pool};
use super::devices;
use super::error::{open_error, unavailable};
use super::events;
use super::options::SqlOptions;
use super::schema::check_version;
use crate::{
    DeviceId, DeviceRecord, EventFilter, FollowItem, OpenError, StoreError, StoredEvent,
    Subscriber, Undelivered, redact,
};

/// What a store has recorded, to be read by anybody who may: beside a daemon that writes, and without
/// one. Writes nothing. Blocks: not for asynchronous tasks.
#[derive(Debug)]
pub struct StoreReader {
    pub(super) runtime: Runtime,
    pub(super) pool: AnyPool,
    engine: Engine,
}

impl StoreReader {
    /// Connects, and refuses a database whose schema is newer.
    pub fn open(options: &SqlOptions) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let engine = Engine::new(&options.url);
        if let Engine::Sqlite { file } = &engine {
            // SQLite says of anything that it cannot be opened.
            fs_err::metadata(file).map_err(|source| OpenError::Database {
                place: engine.place(),
                source: source.into(),
                hint: "the daemon makes it when it starts; is this the daemon's configuration?",
            })?;
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| open_error(&engine, error.into()))?;
        let connect = options.connect_options(false)?;
        let pool = {
            let _context = runtime.enter();
            pool(connect, engine.read_settings(), 1)
        };
        runtime.block_on(check_version(&pool, &engine))?;
        Ok(Self {
            runtime,
            pool,
            engine,
        })
    }

    /// The devices that have records, by name.
    pub fn devices(&self) -> io::Result<Vec<DeviceId>> {
        let rows = self.wait(async {
            sqlx::query("SELECT device FROM devices ORDER BY device")
                .fetch_all(&self.pool)
                .await
        })?;
        let devices = rows.iter().map(|row| devices::device(row, "device"));
        let devices = devices.collect::<Result<Vec<_>, _>>();
        let mut devices = devices.map_err(|error| self.failed(error))?;
        // The server sorts by its own rules.
        devices.sort_by_key(ToString::to_string);
        Ok(devices)
    }

    /// What is known of a device.
    pub fn record(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        self.wait(async { devices::record(&mut *self.pool.acquire().await?, device).await })
    }

    /// A device's last upload, with secret values replaced.
    pub fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        let body: Option<Vec<u8>> = self.wait(async {
            let row = sqlx::query("SELECT body FROM configs WHERE device = $1")
                .bind(device.to_string())
                .fetch_optional(&self.pool)
                .await?;
            row.map(|row| row.try_get(0)).transpose()
        })?;
        Ok(body.map(|body| redact(&body)))
    }

    /// The events of a device that a subscriber gave up.
    pub fn undelivered(&self, subscriber: Subscriber, device: DeviceId) -> io::Result<Undelivered> {
        self.wait(async {
            let mut connection = self.pool.acquire().await?;
            events::undelivered(&mut connection, subscriber, device).await
        })
    }

    /// The events that a filter lets through, now and later.
    pub fn follow(&self, filter: EventFilter) -> EventFollower<'_> {
        EventFollower {
            reader: self,
            filter,
            read_to: HashMap::new(),
        }
    }

    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> io::Result<T> {
        let done = self
            .runtime
            .block_on(async { timeout(MAX_READ, work).await });
        done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> io::Error {
        let error: StoreError = unavailable(&self.engine, error);
        io::Error::other(error)
    }
}

/// Reads the events of one device or of all, and each time what was added since the last.
#[derive(Debug)]
pub struct EventFollower<'a> {
    reader: &'a StoreReader,
    filter: EventFilter,
    /// The newest event that was read of each device.
    read_to: HashMap<DeviceId, i64>,
}

impl EventFollower<'_> {
    /// Hands over what has not been read yet: by device, and in the order in which it was stored.
    ///
    /// An error of `found` ends it and comes back.
    pub fn read(
        &mut self,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let devices = match self.filter.device {
            Some(device) => vec![device],
            None => self.reader.devices()?,
        };
        for device in devices {
            while self.read_page(device, found)? {}
        }
        Ok(())
    }

    /// Whether there may be more.
    fn read_page(
        &mut self,
        device: DeviceId,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let EventFilter { kind, since, .. } = self.filter;
        let read_to = self.read_to.entry(device).or_default();
        let reader = self.reader;
        let since = since.map_or(i64::MIN, Timestamp::as_microsecond);
        let page = reader.wait(async {
            let mut connection = reader.pool.acquire().await?;
            events::page(&mut connection, device, kind, *read_to, since).await
        })?;
        for (seq, text) in &page {
            match serde_json::from_str::<StoredEvent>(text) {
                Ok(event) => found(FollowItem::Event {
                    device,
                    event: &event,
                    text,
                })?,
                Err(_) => found(FollowItem::Broken {
                    place: format_args!("event {seq} of device {device}"),
                })?,
            }
            *read_to = *seq;
        }
        Ok(!page.is_empty())
    }
}

const MAX_READ: Duration = Duration::from_secs(30);
