//! Which store the commands read.

use std::path::PathBuf;

use clap::Args;

use super::super::output::Failure;
use super::error::DevicesError;
use crate::config::Config;
use crate::daemon::database;
use engage_store::{DeviceId, SqlOptions, StoreReader};

/// Names the configuration, whose `[devices] directory` is read.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// Configuration file, whose `[devices] directory` is read
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}

/// What a command reads from.
pub(super) struct OpenedStore {
    pub(super) reader: StoreReader,
    /// The database, for messages.
    pub(super) place: String,
    /// Where `db.json` files are dropped.
    pub(super) directory: PathBuf,
}

/// Where a store is, and what it takes to be let in.
pub(super) struct StoreLocation {
    pub(super) options: SqlOptions,
    /// Holds the password of the user in the URL.
    pub(super) password_file: Option<PathBuf>,
    /// Where `db.json` files are dropped.
    pub(super) directory: PathBuf,
}

impl StoreArgs {
    /// Where the store is, which need not be there.
    pub(super) fn locate(&self) -> Result<StoreLocation, Failure> {
        let config = Config::load(&self.config)?;
        let Some(directory) = config.devices.directory.path() else {
            return Err(DevicesError::NotRecorded {
                config: config.path,
            }
            .into());
        };
        if config.devices.database_url.is_none() && !directory.is_dir() {
            return Err(DevicesError::NoDirectory {
                directory: directory.to_owned(),
                config: config.path,
            }
            .into());
        }
        Ok(StoreLocation {
            options: database(&config.devices, directory)?,
            password_file: config.devices.database_password_file.clone(),
            directory: directory.to_owned(),
        })
    }

    /// The store, which exists.
    pub(super) fn open(&self) -> Result<OpenedStore, Failure> {
        let StoreLocation {
            options, directory, ..
        } = self.locate()?;
        Ok(OpenedStore {
            reader: StoreReader::open(&options)?,
            place: options.url.to_string(),
            directory,
        })
    }

    /// The store, in which the device has records.
    pub(super) fn open_with(&self, device: DeviceId) -> Result<OpenedStore, Failure> {
        let store = self.open()?;
        let record = store.reader.record(device);
        if record.map_err(DevicesError::from)?.is_none() {
            let place = store.place;
            return Err(DevicesError::UnknownDevice { device, place }.into());
        }
        Ok(store)
    }
}
