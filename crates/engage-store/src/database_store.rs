//! The databases that devices are to have, for who changes them while the daemon runs.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{Database, DbError, DbVersion, DeviceId, StoreError, StoredDatabase};

/// Reads and changes the databases that devices are to have, whether they ever called or not.
///
/// What was dropped as `db.json` meanwhile is taken first, as when the device asks: the versions here
/// are those that it would be answered.
#[async_trait]
pub trait DatabaseStore: Send + Sync {
    /// The database that a device is to have, and its file: with the credentials of users.
    async fn stored_database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<(StoredDatabase, Zeroizing<Vec<u8>>)>, StoreError>;

    /// Makes `file` the database that a device is to have, until another `db.json` is dropped for it
    /// than the one that is there now, or another is set.
    ///
    /// With `if_match` only if that is the version of the one in force; [`DbVersion::NONE`] is that of
    /// none at all.
    async fn set_database(
        &self,
        device: DeviceId,
        file: DatabaseFile,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError>;

    /// Takes away what was set, so that the device is sent no database any more: it keeps what it has.
    ///
    /// Not what was dropped as `db.json`: as long as the file is there it would be taken again.
    async fn remove_database(
        &self,
        device: DeviceId,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError>;
}

/// A `db.json` that has passed its check.
#[derive(Clone)]
pub struct DatabaseFile {
    file: Zeroizing<Vec<u8>>,
    database: Database,
}

impl DatabaseFile {
    /// Checks it as when it is sent.
    pub fn parse(file: Zeroizing<Vec<u8>>) -> Result<Self, DbError> {
        let database = Database::parse(&file)?;
        Ok(Self { file, database })
    }

    /// What of it is sent.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// As it is written, with the credentials of users.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.file
    }
}

/// With neither users nor their credentials.
impl std::fmt::Debug for DatabaseFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.database.version();
        write!(f, "DatabaseFile({} bytes, {version})", self.file.len())
    }
}

/// What became of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DatabaseChange {
    /// It is durable.
    Changed,
    /// Nothing was changed: somebody else had changed it.
    Mismatch {
        /// The version that is in force; [`DbVersion::NONE`] if there is none.
        found: DbVersion,
    },
    /// Nothing was removed: there is none.
    Absent,
    /// Nothing was removed: this file is what the device is sent, or would be.
    Dropped {
        /// The `db.json`.
        path: PathBuf,
    },
}
