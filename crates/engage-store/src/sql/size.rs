//! How much of the disk the database takes, and whether that is as much as it may.

use std::sync::atomic::{AtomicU64, Ordering};

use engage_wire::diagnostic::one_line;
use parking_lot::Mutex;
use sqlx::{AnyConnection, Executor, Row};
use tracing::{error, info, warn};

use super::engine::Engine;
use crate::{StoreError, StoreSize};

/// As it was measured last: what is stored between two measurements comes on top.
pub(super) struct DatabaseSize {
    allowed: Option<u64>,
    bytes: AtomicU64,
    /// As it was told last.
    room: Mutex<FreeSpace>,
}

/// Whose call-ins can be stored.
#[derive(Clone, Copy, Eq, PartialEq)]
enum FreeSpace {
    Enough,
    ForRegistered,
    None,
}

impl DatabaseSize {
    pub(super) fn new(allowed: Option<u64>) -> Self {
        Self {
            allowed,
            bytes: AtomicU64::new(0),
            room: Mutex::new(FreeSpace::Enough),
        }
    }

    /// With `log_bytes` beside the database. Says when there is room for others than before.
    pub(super) async fn measure(
        &self,
        connection: &mut AnyConnection,
        engine: &Engine,
        log_bytes: u64,
    ) -> Result<(), sqlx::Error> {
        if self.allowed.is_none() {
            return Ok(());
        }
        let found: i64 = connection.fetch_one(engine.size()).await?.try_get(0)?;
        let bytes = u64::try_from(found).unwrap_or(0) + log_bytes;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.tell(engine);
        Ok(())
    }

    fn tell(&self, engine: &Engine) {
        let checked = (self.check(engine, true), self.check(engine, false));
        let (room, reason) = match checked {
            (Err(full), _) => (FreeSpace::None, one_line(&full)),
            (Ok(()), Err(full)) => (FreeSpace::ForRegistered, one_line(&full)),
            (Ok(()), Ok(())) => (FreeSpace::Enough, String::new()),
        };
        if std::mem::replace(&mut *self.room.lock(), room) == room {
            return;
        }
        match room {
            FreeSpace::Enough => info!("the device store has room again"),
            FreeSpace::ForRegistered => warn!(
                reason,
                "the device store is nearly full; only registered devices are acknowledged until there is room"
            ),
            FreeSpace::None => error!(
                reason,
                "the device store is full; nothing is acknowledged until there is room"
            ),
        }
    }

    pub(super) fn get(&self) -> Option<StoreSize> {
        self.allowed.map(|allowed| StoreSize {
            bytes: self.bytes.load(Ordering::Relaxed),
            allowed,
        })
    }

    /// Fails where nothing more may be stored of a device.
    pub(super) fn check(&self, engine: &Engine, is_registered: bool) -> Result<(), StoreError> {
        let Some(size) = self.get() else {
            return Ok(());
        };
        let (allowed, whose) = if is_registered {
            (size.allowed, "")
        } else {
            let allowed = size.allowed_for_unregistered();
            (allowed, " for devices that are not registered")
        };
        if size.bytes < allowed {
            return Ok(());
        }
        Err(StoreError::Full {
            place: engine.place(),
            bytes: size.bytes,
            allowed,
            whose,
        })
    }
}
