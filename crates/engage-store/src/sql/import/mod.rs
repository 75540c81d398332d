//! Records of version 0.1.0 come into a database: each device in one transaction, and nothing twice.

mod device;
mod quarantine;

use std::io;
use std::path::{Path, PathBuf};

use engage_wire::diagnostic::causes;
use engage_wire::replace_file;
use sqlx::{AnyConnection, Executor};
use tokio::runtime::Builder;

use super::address::DatabaseUrl;
use super::connect::Pools;
use super::engine::{Engine, directory_of};
use super::error::{is_of_values, open_error, unavailable};
use super::options::SqlOptions;
use super::schema::migrate;
use crate::file_identity::look_up;
use crate::import::{ImportError, ImportNews, Imported, OldDevice, devices};
use crate::json_files::directory_id::DirectoryId;
use crate::json_files::folder::{Folder, sync_all};
use crate::owner_lock::OwnerLock;
use crate::{DeviceId, mode};
use device::DeviceFailure;

/// Takes over the records in `directory`; those that are in the store already are passed over.
/// Blocks for as long as it takes. Refused while a daemon writes into the directory, or into the
/// SQLite file that is to hold them.
pub fn import(
    directory: &Path,
    options: &SqlOptions,
    told: &mut dyn FnMut(ImportNews),
) -> Result<Imported, ImportError> {
    let read = |source| ImportError::Read {
        directory: directory.to_owned(),
        source,
    };
    if !holds_records(directory).map_err(read)? {
        return Err(ImportError::NoRecords {
            directory: directory.to_owned(),
        });
    }
    let lock = OwnerLock::acquire(directory)?;
    let _lock_of_database = match &options.url {
        DatabaseUrl::Sqlite(file) if !lock.is_of(directory_of(file)) => {
            mode::create_dir(directory_of(file)).map_err(read)?;
            Some(OwnerLock::acquire(directory_of(file))?)
        }
        DatabaseUrl::Sqlite(_) | DatabaseUrl::Postgres(_) => None,
    };
    run(directory, options, told)
}

/// Takes over the records that lie beside a SQLite file that does not exist yet, into that file;
/// `None` where there is nothing to do. One that was interrupted goes on: the file has another name
/// until all of it is there.
pub fn take_over(
    options: &SqlOptions,
    told: &mut dyn FnMut(ImportNews),
) -> Result<Option<Imported>, ImportError> {
    let DatabaseUrl::Sqlite(file) = &options.url else {
        return Ok(None);
    };
    let directory = directory_of(file);
    let read = |source| ImportError::Read {
        directory: directory.to_owned(),
        source,
    };
    if file.exists() || !directory.is_dir() || !holds_records(directory).map_err(read)? {
        return Ok(None);
    }
    let _lock = OwnerLock::acquire(directory)?;
    let beside = PathBuf::from(format!("{}.import", file.display()));
    let into = SqlOptions {
        url: DatabaseUrl::Sqlite(beside.clone()),
        ..options.clone()
    };
    let imported = run(directory, &into, told)?;
    replace_file(&beside, file).map_err(read)?;
    sync_all(directory).map_err(read)?;
    Ok(Some(imported))
}

/// Whether there is more than what integrators drop.
fn holds_records(directory: &Path) -> io::Result<bool> {
    for device in devices(directory)? {
        if let Ok(Some(folder)) = Folder::find(directory, device)
            && folder.holds_copies().unwrap_or(true)
        {
            return Ok(true);
        }
    }
    Ok(quarantine::files(directory).next().is_some())
}

fn run(
    directory: &Path,
    options: &SqlOptions,
    told: &mut dyn FnMut(ImportNews),
) -> Result<Imported, ImportError> {
    let engine = Engine::new(&options.url);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| open_error(&engine, error.into()))?;
    runtime.block_on(async {
        let pools = Pools::connect(options, &engine).await?;
        migrate(&pools.writes, &engine).await?;
        let mut import = Import {
            directory,
            own: OwnDirectory::look_at(directory, options)?,
            told,
            imported: Imported::default(),
        };
        let done = async {
            let mut connection = pools.writes.acquire().await?;
            import.all(&mut connection, &engine).await
        };
        let done = done.await;
        pools.close().await;
        done.map_err(|error| unavailable(&engine, error))?;
        Ok(import.imported)
    })
}

/// What the imported directory is to the store.
struct OwnDirectory {
    /// The one in which databases are dropped.
    is_own: bool,
    /// The directory of the configuration, where databases are dropped.
    dropped_in: Option<PathBuf>,
    /// The name of the one in which copies are kept: those are written already.
    copies: Option<DirectoryId>,
}

impl OwnDirectory {
    fn look_at(directory: &Path, options: &SqlOptions) -> Result<Self, ImportError> {
        let read = |source| ImportError::Read {
            directory: directory.to_owned(),
            source,
        };
        let own = options.directory.as_deref();
        let own = own.map(look_up).transpose().map_err(read)?.flatten();
        let is_own = own.is_some() && own == look_up(directory).map_err(read)?;
        let id = (is_own && options.json_files).then(|| DirectoryId::load_or_create(directory));
        let copies = id.transpose().map_err(read)?;
        Ok(Self {
            is_own,
            dropped_in: options.directory.clone(),
            copies,
        })
    }
}

struct Import<'a> {
    directory: &'a Path,
    own: OwnDirectory,
    told: &'a mut dyn FnMut(ImportNews),
    imported: Imported,
}

impl Import<'_> {
    async fn all(
        &mut self,
        connection: &mut AnyConnection,
        engine: &Engine,
    ) -> Result<(), sqlx::Error> {
        let is_file = matches!(engine, Engine::Sqlite { .. });
        if is_file {
            // Durable at the end, and whole whenever it ends: what is lost is taken over again.
            connection.execute("PRAGMA synchronous = NORMAL").await?;
        }
        let devices = devices(self.directory)?;
        for (at, device) in devices.iter().enumerate() {
            self.device(connection, *device).await?;
            (self.told)(ImportNews::Progress {
                devices: at + 1,
                of: devices.len(),
            });
        }
        self.imported.devices = devices.len();
        let mut left_out = Vec::new();
        self.imported.quarantined =
            quarantine::import(connection, self.directory, &mut left_out).await?;
        self.leave_out(left_out);
        if is_file {
            connection.execute("PRAGMA synchronous = FULL").await?;
            connection
                .execute("PRAGMA wal_checkpoint(TRUNCATE)")
                .await?;
        }
        Ok(())
    }

    async fn device(
        &mut self,
        connection: &mut AnyConnection,
        device: DeviceId,
    ) -> Result<(), sqlx::Error> {
        let mut left_out = Vec::new();
        let imported = match OldDevice::read(self.directory, device, &mut left_out) {
            Ok(old) => device::import(connection, &old, &self.own).await,
            Err(error) => Err(DeviceFailure::File(error)),
        };
        match imported {
            Ok(events) => self.imported.events += events,
            Err(DeviceFailure::Database(error)) if !is_of_values(&error) => return Err(error),
            Err(error) => left_out.push(format!("device {device} is left out: {}", causes(&error))),
        }
        self.leave_out(left_out);
        Ok(())
    }

    fn leave_out(&mut self, left_out: Vec<String>) {
        self.imported.left_out += left_out.len();
        for text in left_out {
            (self.told)(ImportNews::LeftOut(text));
        }
    }
}
