//! Which store the commands read.

use std::path::PathBuf;

use clap::Args;

use super::error::DevicesError;
use crate::config::Config;
use crate::failure::Failure;
use crate::recording::StoreLocation;
use engage_store::{DeviceId, DeviceRecord, StoreReader};

/// Names the configuration, whose `[devices]` says where the database is.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// Configuration file, whose `[devices]` says where the database is
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

impl StoreArgs {
    /// Where the store is; a SQLite file is there.
    pub(super) fn locate(&self) -> Result<StoreLocation, Failure> {
        Ok(self.locate_or_create()?.existing(&self.config)?)
    }

    /// Where the store is, or is to be.
    pub(super) fn locate_or_create(&self) -> Result<StoreLocation, Failure> {
        Ok(StoreLocation::from_config(&Config::load(&self.config)?)?)
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

    /// The store, and what it knows of a device.
    pub(super) fn open_with(
        &self,
        device: DeviceId,
    ) -> Result<(OpenedStore, DeviceRecord), Failure> {
        let store = self.open()?;
        let record = store.reader.record(device).map_err(DevicesError::from)?;
        let place = || store.place.clone();
        let record = record.ok_or_else(|| DevicesError::UnknownDevice {
            device,
            place: place(),
        })?;
        Ok((store, record))
    }
}
