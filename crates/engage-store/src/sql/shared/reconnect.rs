//! Connecting, and connecting anew when the database's file was replaced.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyConnection, Executor};
use tracing::{error, warn};

use super::super::connect::Pools;
use super::super::damage::Damage;
use super::super::engine::{Engine, directory_of};
use super::super::error::open_error;
use super::super::options::SqlOptions;
use super::super::retention::Retention;
use super::super::schema::migrate;
use super::Shared;
use crate::OpenError;
use crate::file_identity::{FileIdentity, look_up};
use crate::owner_lock::OwnerLock;

#[derive(Clone)]
pub(super) struct Connected {
    pub(super) pools: Pools,
    /// Of SQLite's file; `None` where there is none to look at.
    pub(super) file: Option<FileIdentity>,
    pub(super) damage: Damage,
}

impl Shared {
    pub(super) fn is_replaced(&self) -> Result<bool, sqlx::Error> {
        let Engine::Sqlite { file } = &self.engine else {
            return Ok(false);
        };
        let found = look_up(file)?;
        Ok(found != self.connected.read().file)
    }

    /// For good: who still asks is told so.
    pub(in crate::sql) async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.pools().close().await;
    }

    fn needs_reconnect(&self) -> Result<bool, sqlx::Error> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(sqlx::Error::PoolClosed);
        }
        Ok(self.is_replaced()? || self.pools().writes.is_closed())
    }

    /// What was written into a file that has no name any more would be gone: begins anew with what
    /// is there now. A directory that is gone is not made anew: it may come back.
    pub(super) async fn reconnect_if_replaced(&self) -> Result<(), sqlx::Error> {
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

pub(super) async fn connect(options: &SqlOptions, engine: &Engine) -> Result<Connected, OpenError> {
    let damage = Damage::look(options, engine, DAMAGE_CHECK_TIMEOUT).await?;
    let pools = Pools::connect(options, engine).await?;
    let migrated = async {
        migrate(&pools.writes, engine).await?;
        let failed = |error| open_error(engine, error);
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
const DAMAGE_CHECK_TIMEOUT: Duration = Duration::from_millis(250);
