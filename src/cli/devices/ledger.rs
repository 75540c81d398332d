//! Which directory the commands read.

use std::path::PathBuf;

use clap::Args;

use super::super::output::Failure;
use crate::config::Config;
use engage_store::DeviceId;

/// Names the configuration, whose `[devices] directory` is read.
#[derive(Args, Debug)]
pub(super) struct Ledger {
    /// Configuration file, whose `[devices] directory` is read
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}

impl Ledger {
    /// The directory, which exists.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        let config = Config::load(&self.config)?;
        let Some(directory) = config.devices.directory.path() else {
            return Err(Failure::new(format!(
                "configuration file `{}` has `[devices] directory = \"\"`: the call-in is not recorded\n  hint: name a directory there, or another configuration with `--config FILE`",
                config.path.display()
            )));
        };
        if !directory.is_dir() {
            return Err(Failure::new(format!(
                "there is no device directory `{}`\n  hint: the daemon makes it when it starts; is `{}` the daemon's configuration? name another with `--config FILE`",
                directory.display(),
                config.path.display()
            )));
        }
        Ok(directory.to_owned())
    }

    /// The directory, in which the device has one of its own.
    pub(super) fn directory_with(&self, device: DeviceId) -> Result<PathBuf, Failure> {
        let directory = self.directory()?;
        if !directory.join(device.to_string()).is_dir() {
            return Err(Failure::new(format!(
                "device {device} has never called: nothing of it is in `{}`\n  hint: `engage-host devices` lists those that have",
                directory.display()
            )));
        }
        Ok(directory)
    }
}
