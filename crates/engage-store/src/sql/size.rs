//! How much of the disk the database takes, and whether that is as much as it may.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engage_wire::diagnostic::causes;
use sqlx::{AnyConnection, Executor, Row};
use tracing::{error, info};

use super::connect::Engine;
use crate::StoreError;

/// As it was measured last: what is stored between two measurements comes on top.
pub(super) struct DatabaseSize {
    allowed: Option<u64>,
    bytes: AtomicU64,
    is_told: AtomicBool,
}

impl DatabaseSize {
    pub(super) fn new(allowed: Option<u64>) -> Self {
        Self {
            allowed,
            bytes: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
        }
    }

    /// With `log_bytes` beside the database. Says when it becomes too large, and when it no longer is.
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
        let full = self.check(engine);
        match (full, self.is_told.load(Ordering::Relaxed)) {
            (Err(full), false) => {
                let reason = causes(&full);
                error!(
                    reason,
                    "the device store is full; nothing is acknowledged until there is room"
                );
            }
            (Ok(()), true) => info!("the device store has room again"),
            _ => return Ok(()),
        }
        self.is_told.fetch_not(Ordering::Relaxed);
        Ok(())
    }

    /// Fails where nothing more may be stored.
    pub(super) fn check(&self, engine: &Engine) -> Result<(), StoreError> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        match self.allowed {
            Some(allowed) if bytes >= allowed => Err(StoreError::Full {
                place: engine.place(),
                bytes,
                allowed,
            }),
            _ => Ok(()),
        }
    }
}
