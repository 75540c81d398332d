//! `db.json`: dropped by the integrator, checked before it is sent, and the last good one kept.

use std::path::Path;

use engage_wire::diagnostic::causes;
use engage_wire::{ReadError, read_regular_file};
use tracing::warn;
use zeroize::Zeroizing;

use super::disk::Disk;
use crate::{Database, MAX_DB_BYTES};

/// What a device is to be sent, and why not its `db.json`.
#[derive(Debug, Default)]
pub(super) struct LoadedDatabase {
    pub(super) database: Option<Database>,
    pub(super) refused: Option<String>,
}

/// Reads and checks the file at each call-in: devices call once a night, integrators write when
/// they like, and nothing has to be kept in memory or noticed.
pub(super) fn load(directory: &Path, disk: &dyn Disk) -> LoadedDatabase {
    let path = directory.join(FILE);
    let last_good = directory.join(LAST_GOOD);
    let refused = match read(&path) {
        Ok(None) => return LoadedDatabase::default(),
        Ok(Some(file)) => match Database::parse(&file) {
            Ok(database) => {
                report(&path, &database);
                keep_last_good(&last_good, &file, disk);
                return LoadedDatabase {
                    database: Some(database),
                    refused: None,
                };
            }
            Err(error) => causes(&error),
        },
        Err(error) => causes(&error),
    };
    warn!(path = %path.display(), reason = refused, "database refused; the last good one stays");
    let last_good = read(&last_good).ok().flatten();
    LoadedDatabase {
        database: last_good.and_then(|file| Database::parse(&file).ok()),
        refused: Some(refused),
    }
}

fn report(path: &Path, database: &Database) {
    for warning in database.warnings() {
        warn!(path = %path.display(), "database is sent, but look at it: {warning}");
    }
}

/// A full disk does not keep a device from its database.
fn keep_last_good(last_good: &Path, file: &[u8], disk: &dyn Disk) {
    if read(last_good)
        .ok()
        .flatten()
        .as_ref()
        .map(|it| it.as_slice())
        != Some(file)
        && let Err(error) = disk.replace(last_good, file)
    {
        warn!(path = %last_good.display(), %error, "failed to keep the last good database");
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
    match read_regular_file("database", path, MAX_DB_BYTES) {
        Err(error) if error.is_not_found() => Ok(None),
        read => read.map(Some),
    }
}

const FILE: &str = "db.json";
pub(super) const LAST_GOOD: &str = ".db-last-good.json";
