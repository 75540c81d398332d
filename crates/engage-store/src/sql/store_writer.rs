//! The write side beside a daemon: for programs that have no runtime.

use jiff::Timestamp;
use sqlx::{AnyConnection, Connection};
use std::path::PathBuf;
use tokio::runtime::{Builder, Runtime};

use super::connect::connect;
use super::database::{self, DatabaseSource, DroppedDatabase, StoredDatabase};
use super::engine::Engine;
use super::error::{open_error, unavailable};
use super::options::SqlOptions;
use super::reader::require_file;
use super::schema::check_version;
use crate::{Database, DeviceId, OpenError, StoreError};

/// Changes what devices are to have, beside a daemon and without one. Blocks: not for asynchronous
/// tasks.
pub struct StoreWriter {
    pub(super) runtime: Runtime,
    pub(super) connection: AnyConnection,
    pub(super) engine: Engine,
    /// Where `db.json` files are dropped.
    directory: Option<PathBuf>,
}

impl StoreWriter {
    /// Connects to a database that a daemon has made, and refuses one whose schema is newer.
    pub fn open(options: &SqlOptions) -> Result<Self, OpenError> {
        let engine = Engine::new(&options.url);
        require_file(&engine)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| open_error(&engine, error.into()))?;
        let connection = runtime.block_on(async {
            let mut connection = connect(options, &engine).await?;
            check_version(&mut connection, &engine).await?;
            Ok::<_, OpenError>(connection)
        })?;
        Ok(Self {
            runtime,
            connection,
            engine,
            directory: options.directory.clone(),
        })
    }

    /// Makes `database`, which was parsed from `file`, the one that a device is to have, whether it has
    /// ever called or not: until another `db.json` is dropped for it than the one that is there now, or
    /// this is called again.
    pub fn set_database(
        &mut self,
        device: DeviceId,
        file: &[u8],
        database: &Database,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let directory = self.directory.as_deref();
        let dropped = directory.map(|directory| DroppedDatabase::read(directory, device));
        let stored = StoredDatabase {
            version: database.version(),
            source: DatabaseSource::Command,
            taken_at: now,
            file_version: dropped.and_then(|dropped| dropped.version()),
        };
        let put = database::put(&mut self.connection, device, &stored, file);
        let done = self.runtime.block_on(put);
        done.map_err(|error| unavailable(&self.engine, error))
    }

    /// Ends the connection in order: with SQLite, the last one takes the log beside the file away.
    pub fn close(self) -> Result<(), StoreError> {
        let closed = self.runtime.block_on(self.connection.close());
        closed.map_err(|error| unavailable(&self.engine, error))
    }
}
