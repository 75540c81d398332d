//! The database that a device is to have: dropped as `db.json` or set by command, checked before it is
//! sent, and the last good one kept.

use std::path::{Path, PathBuf};

use engage_wire::Text;
use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use tracing::warn;
use zeroize::Zeroizing;

use super::devices::moment;
use super::shared::Shared;
use crate::{Database, DbVersion, DeviceId, MAX_DB_BYTES, StoreError};

/// What stands in a device's folder as its `db.json`.
#[derive(Clone)]
pub enum DroppedDatabase {
    /// It would be sent.
    Good {
        /// As it is written there, in UTF-8.
        file: Zeroizing<Vec<u8>>,
        /// What of it is sent.
        database: Database,
    },
    /// No file.
    Nothing,
    /// It cannot be read, or would not be sent.
    Refused {
        /// The path of the `db.json`.
        path: PathBuf,
        /// Why, for people.
        reason: String,
    },
}

impl DroppedDatabase {
    /// Of the one that would be sent.
    pub(super) fn version(&self) -> Option<DbVersion> {
        match self {
            Self::Good { database, .. } => Some(database.version()),
            Self::Nothing | Self::Refused { .. } => None,
        }
    }

    /// Where a device's is dropped.
    pub(super) fn path(directory: &Path, device: DeviceId) -> PathBuf {
        directory.join(device.to_string()).join(FILE)
    }

    /// Reads and checks the file, as the daemon does at each call-in: devices call once a night,
    /// integrators write when they like. Blocks.
    pub fn read(directory: &Path, device: DeviceId) -> Self {
        let path = Self::path(directory, device);
        let file = match Text::read("database", &path, MAX_DB_BYTES) {
            Err(error) if error.is_not_found() => return Self::Nothing,
            Err(error) => {
                let reason = causes(&error);
                return Self::Refused { path, reason };
            }
            Ok(file) => file.into_bytes(),
        };
        match Database::parse(&file) {
            Ok(database) => Self::Good { file, database },
            Err(error) => {
                let reason = causes(&error);
                Self::Refused { path, reason }
            }
        }
    }
}

/// Where a database came from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseSource {
    /// `devices db set`.
    Command,
    /// A `db.json` in the device's folder.
    File,
}

impl DatabaseSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::File => "file",
        }
    }
}

/// A database in the store, without its contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredDatabase {
    /// Its stamp.
    pub version: DbVersion,
    /// Where it came from.
    pub source: DatabaseSource,
    /// When it came, by the host's clock.
    pub taken_at: Timestamp,
    /// Of the file that was taken last, whatever was set by command since: another one is newer.
    pub file_version: Option<DbVersion>,
}

impl StoredDatabase {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let version = |name| {
            let text: Option<String> = row.try_get(name)?;
            Ok::<_, sqlx::Error>(text.and_then(|text| DbVersion::parse(&text)))
        };
        let is_command = row.try_get::<String, _>("source")? == DatabaseSource::Command.as_str();
        Ok(Self {
            version: version("version")?.unwrap_or(DbVersion::NONE),
            source: if is_command {
                DatabaseSource::Command
            } else {
                DatabaseSource::File
            },
            taken_at: moment(row, "taken_at")?.unwrap_or_default(),
            file_version: version("file_version")?,
        })
    }
}

/// What a device is to be sent, and why not what was dropped for it.
pub(super) async fn current(
    shared: &Shared,
    device: DeviceId,
    dropped: DroppedDatabase,
    now: Timestamp,
) -> Result<(Option<Database>, Option<String>), sqlx::Error> {
    let found = find(shared, device, dropped, now).await?;
    for warning in found.0.iter().flat_map(Database::warnings) {
        warn!(%device, "database is sent, but look at it: {warning}");
    }
    Ok(found)
}

async fn find(
    shared: &Shared,
    device: DeviceId,
    dropped: DroppedDatabase,
    now: Timestamp,
) -> Result<(Option<Database>, Option<String>), sqlx::Error> {
    let stored = stored(&mut *shared.reader().await?, device).await?;
    let is_taken = |database: &Database| {
        let taken = stored.as_ref().and_then(|it| it.file_version);
        taken == Some(database.version())
    };
    let refused = match dropped {
        DroppedDatabase::Good { file, database } if !is_taken(&database) => {
            // A full disk does not keep a device from its database.
            if let Err(error) = take(shared, device, &file, &database, now).await {
                let error = causes(&shared.unavailable(error));
                warn!(%device, error, "failed to keep the last good database of device {device}");
            }
            return Ok((Some(database), None));
        }
        // Other hosts do not have the file.
        DroppedDatabase::Nothing if shared.directory().is_some() && shared.is_only_host() => {
            let is_of_file = |it: &StoredDatabase| it.source == DatabaseSource::File;
            if stored.as_ref().is_some_and(is_of_file) {
                return Ok((None, None));
            }
            None
        }
        DroppedDatabase::Refused { path, reason } => {
            let path = path.display();
            warn!(%path, reason, "database refused; the last good one stays");
            Some(reason)
        }
        DroppedDatabase::Good { .. } | DroppedDatabase::Nothing => None,
    };
    let body = match stored {
        Some(_) => body(&mut *shared.reader().await?, device).await?,
        None => None,
    };
    let database = body.and_then(|body| Database::parse(&body).ok());
    Ok((database, refused))
}

/// Reads what was dropped for a device, where databases are dropped.
pub(super) async fn read_dropped(
    shared: &Shared,
    device: DeviceId,
) -> Result<DroppedDatabase, StoreError> {
    let directory = shared.directory().map(Path::to_owned);
    let reading = tokio::task::spawn_blocking(move || match directory {
        Some(directory) => DroppedDatabase::read(&directory, device),
        None => DroppedDatabase::Nothing,
    });
    reading.await.map_err(|_| StoreError::Closed)
}

/// The database that a device would be sent now, as it is stored.
pub(super) async fn in_force(
    shared: &Shared,
    device: DeviceId,
    dropped: DroppedDatabase,
    now: Timestamp,
) -> Result<Option<(StoredDatabase, Zeroizing<Vec<u8>>)>, sqlx::Error> {
    let (Some(_), _) = find(shared, device, dropped, now).await? else {
        return Ok(None);
    };
    let mut connection = shared.reader().await?;
    let Some(stored) = stored(&mut connection, device).await? else {
        return Ok(None);
    };
    let body = body(&mut connection, device).await?;
    Ok(body.map(|body| (stored, body)))
}

/// Takes what was dropped into the store.
async fn take(
    shared: &Shared,
    device: DeviceId,
    file: &[u8],
    database: &Database,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let stored = StoredDatabase {
        version: database.version(),
        source: DatabaseSource::File,
        taken_at: now,
        file_version: Some(database.version()),
    };
    let mut transaction = shared.begin().await?;
    put(&mut transaction, device, &stored, file).await?;
    shared.commit(transaction).await
}

/// In place of the one that is there.
pub(super) async fn put(
    connection: &mut AnyConnection,
    device: DeviceId,
    database: &StoredDatabase,
    body: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO databases (device, taken_at, version, source, file_version, body) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (device) DO UPDATE SET \
         taken_at = excluded.taken_at, version = excluded.version, source = excluded.source, \
         file_version = coalesce(excluded.file_version, databases.file_version), body = excluded.body",
    )
    .bind(device.to_string())
    .bind(database.taken_at.as_microsecond())
    .bind(database.version.to_string())
    .bind(database.source.as_str())
    .bind(database.file_version.map(|version| version.to_string()))
    .bind(body.to_vec())
    .execute(connection)
    .await
    .map(drop)
}

/// In place of the one that has this version, or of none; whether it was that.
pub(super) async fn replace(
    connection: &mut AnyConnection,
    device: DeviceId,
    expected: Option<DbVersion>,
    database: &StoredDatabase,
    body: &[u8],
) -> Result<bool, sqlx::Error> {
    let query = match expected {
        None => {
            "INSERT INTO databases (device, taken_at, version, source, file_version, body)              VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (device) DO NOTHING"
        }
        Some(_) => {
            "UPDATE databases SET taken_at = $2, version = $3, source = $4,              file_version = coalesce($5, file_version), body = $6 WHERE device = $1 AND version = $7"
        }
    };
    let mut query = sqlx::query(query)
        .bind(device.to_string())
        .bind(database.taken_at.as_microsecond())
        .bind(database.version.to_string())
        .bind(database.source.as_str())
        .bind(database.file_version.map(|version| version.to_string()))
        .bind(body.to_vec());
    if let Some(expected) = expected {
        query = query.bind(expected.to_string());
    }
    let done = query.execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// The one that has this version; whether it was that.
pub(super) async fn remove(
    connection: &mut AnyConnection,
    device: DeviceId,
    expected: DbVersion,
) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM databases WHERE device = $1 AND version = $2")
        .bind(device.to_string())
        .bind(expected.to_string())
        .execute(connection)
        .await?;
    Ok(removed.rows_affected() == 1)
}

pub(super) async fn stored(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<StoredDatabase>, sqlx::Error> {
    let query = "SELECT version, source, taken_at, file_version FROM databases WHERE device = $1";
    let row = sqlx::query(query)
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(StoredDatabase::read).transpose()
}

/// As it was dropped or set.
pub(super) async fn body(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<Zeroizing<Vec<u8>>>, sqlx::Error> {
    let row = sqlx::query("SELECT body FROM databases WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0).map(Zeroizing::new))
        .transpose()
}

const FILE: &str = "db.json";
