//! Where the store is.

use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::database;
use crate::config::Config;
use engage_store::{DatabaseUrl, SqlOptions};

/// Where a store is, and what it takes to be let in.
pub(crate) struct StoreLocation {
    pub(crate) options: SqlOptions,
    /// Where `db.json` files are dropped.
    pub(crate) directory: PathBuf,
}

impl StoreLocation {
    /// As a configuration has it.
    pub(crate) fn from_config(config: &Config) -> Result<Self, StoreLocationError> {
        let Some(directory) = config.devices.directory.path() else {
            return Err(StoreLocationError::NotRecorded {
                config: config.path.clone(),
            });
        };
        Ok(Self {
            options: database(&config.devices, directory),
            directory: directory.to_owned(),
        })
    }

    /// Fails where a SQLite file is not there.
    pub(crate) fn existing(self, config: &Path) -> Result<Self, StoreLocationError> {
        match &self.options.url {
            DatabaseUrl::Sqlite(file) if !file.exists() => Err(StoreLocationError::NoStore {
                file: file.clone(),
                config: config.to_owned(),
            }),
            _ => Ok(self),
        }
    }
}

/// Why there is no store to look into.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum StoreLocationError {
    #[error("there is no database `{}`", file.display())]
    #[diagnostic(
        code("no-store"),
        help(
            "the daemon makes it when it starts; is `{}` the daemon's configuration? name another with `--config FILE`",
            config.display()
        )
    )]
    NoStore { file: PathBuf, config: PathBuf },
    #[error("configuration file `{}` has `[devices] directory = \"\"`: the call-in is not recorded", config.display())]
    #[diagnostic(
        code("not-recorded"),
        help("name a directory there, or another configuration with `--config FILE`")
    )]
    NotRecorded { config: PathBuf },
}
