//! Which directory the commands read.

use std::path::PathBuf;

use clap::Args;

use super::super::output::Failure;
use super::error::DevicesError;
use crate::config::Config;
use engage_store::DeviceId;

/// Names the configuration, whose `[devices] directory` is read.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// Configuration file, whose `[devices] directory` is read
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}

impl StoreArgs {
    /// The directory, which exists.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        let config = Config::load(&self.config)?;
        let Some(directory) = config.devices.directory.path() else {
            return Err(DevicesError::NotRecorded {
                config: config.path,
            }
            .into());
        };
        if !directory.is_dir() {
            return Err(DevicesError::NoDirectory {
                directory: directory.to_owned(),
                config: config.path,
            }
            .into());
        }
        Ok(directory.to_owned())
    }

    /// The directory, in which the device has one of its own.
    pub(super) fn directory_with(&self, device: DeviceId) -> Result<PathBuf, Failure> {
        let directory = self.directory()?;
        if !directory.join(device.to_string()).is_dir() {
            return Err(DevicesError::UnknownDevice { device, directory }.into());
        }
        Ok(directory)
    }
}
