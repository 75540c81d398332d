//! SQLite's write-ahead log: it grows for as long as somebody reads what was there before.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AnyPool, Executor};
use tracing::{info, warn};

use super::engine::beside;
use crate::StoreWarning;

/// The log beside a database, as it was measured last.
pub(super) struct WriteAheadLog {
    path: PathBuf,
    bytes: AtomicU64,
}

impl WriteAheadLog {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            path: beside(database, "-wal"),
            bytes: AtomicU64::new(0),
        }
    }

    /// While a connection is open, it is there.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Measures it; and empties it where it has grown, as soon as nobody reads what it holds.
    pub(super) async fn maintain(&self, writes: &AnyPool) -> Result<(), sqlx::Error> {
        let mut bytes = self.length();
        if bytes > MAX_IDLE_BYTES {
            truncate(writes).await?;
            bytes = self.length();
        }
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        let path = self.path.display();
        match (before > MAX_BYTES, bytes > MAX_BYTES) {
            (false, true) => warn!(
                %path, size_bytes = bytes,
                "the database's log is long: another program has been reading the database for long"
            ),
            (true, false) => info!(%path, "the database's log is short again"),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn warning(&self) -> Option<StoreWarning> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes > MAX_BYTES).then(|| StoreWarning::LongLog {
            path: self.path.clone(),
            mebibytes: bytes >> 20,
            allowed: MAX_BYTES >> 20,
        })
    }

    /// How much longer it is than SQLite may leave it, whatever is stored.
    pub(super) fn surplus(&self) -> u64 {
        self.length().saturating_sub(MAX_IDLE_BYTES)
    }

    fn length(&self) -> u64 {
        fs_err::metadata(&self.path).map_or(0, |it| it.len())
    }
}

/// Waits for nobody: devices would wait too. That somebody reads is no failure.
async fn truncate(writes: &AnyPool) -> Result<(), sqlx::Error> {
    let mut connection = writes.acquire().await?;
    // Others are to wait where this one does not.
    connection.close_on_drop();
    connection.execute("PRAGMA busy_timeout = 0").await?;
    let _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    Ok(())
}

/// As long as SQLite leaves it by itself (`journal_size_limit`).
const MAX_IDLE_BYTES: u64 = 64 << 20;

/// Days of a large site.
const MAX_BYTES: u64 = 256 << 20;
