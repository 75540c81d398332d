//! `db.json`: dropped by the integrator, checked before it is sent, and the last good one kept.

use std::path::{Path, PathBuf};

use engage_wire::diagnostic::causes;
use engage_wire::read_regular_file;
use jiff::Timestamp;
use sqlx::{AnyConnection, Row};
use tracing::warn;
use zeroize::Zeroizing;

use super::shared::Shared;
use crate::{Database, DeviceId, MAX_DB_BYTES};

/// What stands in a device's folder.
pub(super) enum Dropped {
    Good {
        file: Zeroizing<Vec<u8>>,
        database: Database,
    },
    Nothing,
    Refused(String),
}

impl Dropped {
    /// Reads and checks the file at each call-in: devices call once a night, integrators write
    /// when they like. Blocks.
    pub(super) fn read(directory: &Path, device: DeviceId) -> Self {
        let path: PathBuf = directory.join(device.to_string()).join(FILE);
        let file = match read_regular_file("database", &path, MAX_DB_BYTES) {
            Err(error) if error.is_not_found() => return Self::Nothing,
            Err(error) => return Self::refused(&path, causes(&error)),
            Ok(file) => file,
        };
        match Database::parse(&file) {
            Ok(database) => {
                for warning in database.warnings() {
                    warn!(path = %path.display(), "database is sent, but look at it: {warning}");
                }
                Self::Good { file, database }
            }
            Err(error) => Self::refused(&path, causes(&error)),
        }
    }

    fn refused(path: &Path, reason: String) -> Self {
        warn!(path = %path.display(), reason, "database refused; the last good one stays");
        Self::Refused(reason)
    }
}

/// What a device is to be sent, and why not what was dropped for it.
pub(super) async fn current(
    shared: &Shared,
    device: DeviceId,
    dropped: Dropped,
    now: Timestamp,
) -> Result<(Option<Database>, Option<String>), sqlx::Error> {
    match dropped {
        Dropped::Good { file, database } => {
            // A full disk does not keep a device from its database.
            if let Err(error) = keep_new(shared, device, &file, &database, now).await {
                let error = causes(&shared.unavailable(error));
                warn!(%device, error, "failed to keep the last good database of device {device}");
            }
            Ok((Some(database), None))
        }
        Dropped::Nothing if shared.directory().is_some() && shared.is_only_host() => {
            Ok((None, None))
        }
        dropped => {
            let last_good = last_good(&mut *shared.reader().await?, device).await?;
            let refused = match dropped {
                Dropped::Refused(reason) => Some(reason),
                Dropped::Good { .. } | Dropped::Nothing => None,
            };
            Ok((last_good, refused))
        }
    }
}

async fn keep_new(
    shared: &Shared,
    device: DeviceId,
    file: &[u8],
    database: &Database,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let kept = version(&mut *shared.reader().await?, device).await?;
    if kept == Some(database.version().to_string()) {
        return Ok(());
    }
    let mut transaction = shared.begin().await?;
    keep(&mut transaction, device, file, database, now).await?;
    shared.commit(transaction).await
}

/// Takes a database into the store, where it is not the one that is there.
async fn keep(
    connection: &mut AnyConnection,
    device: DeviceId,
    file: &[u8],
    database: &Database,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO databases (device, taken_at, version, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (device) DO UPDATE SET taken_at = excluded.taken_at, version = excluded.version, body = excluded.body \
         WHERE databases.version <> excluded.version",
    )
    .bind(device.to_string())
    .bind(now.as_microsecond())
    .bind(database.version().to_string())
    .bind(file.to_vec())
    .execute(connection)
    .await
    .map(drop)
}

/// The version of the database that is in the store.
async fn version(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("SELECT version FROM databases WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// The last good one.
async fn last_good(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<Database>, sqlx::Error> {
    let row = sqlx::query("SELECT body FROM databases WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    let body: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(body.and_then(|body| Database::parse(&body).ok()))
}

const FILE: &str = "db.json";
