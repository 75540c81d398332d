//! `[devices]`: the nightly call-in and where it is recorded.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::number::within;
use engage_store::{CallInHours, CallInWindow, DatabaseUrl, KeepDays, parse_time_zone};

/// How the call-in is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesConfig {
    /// Where it is recorded.
    pub directory: DevicesDirectory,
    /// The database that holds it; `None` is SQLite's `engage-host.db` in the directory.
    #[serde(deserialize_with = "database_url")]
    pub database_url: Option<DatabaseUrl>,
    /// Holds the password of the user in the URL.
    pub database_password_file: Option<PathBuf>,
    /// PEM file with the issuer of the database server's certificate.
    pub database_ca_file: Option<PathBuf>,
    /// Whether copies are kept in the directory, as files for people to read; `None` is the
    /// default of the database.
    json_files: Option<bool>,
    /// How many bytes the database may take; `None` is the default of the database.
    #[serde(deserialize_with = "max_store_bytes")]
    pub max_store_bytes: Option<u64>,
    /// Whether it is also answered in clear text. Credentials and audits travel with it.
    pub plain_http: bool,
    /// Serial numbers with their password hashes; `None` answers every device.
    pub credentials_file: Option<PathBuf>,
    /// Whether only devices that are listed for a site, or that have credentials, are answered.
    pub only_known: bool,
    /// For how long audits and alerts are kept.
    #[serde(rename = "keep_audits_days", deserialize_with = "keep_days")]
    pub keep_audits: KeepDays,
    /// When devices are told to call next.
    #[serde(deserialize_with = "call_in_hours")]
    call_in_window: CallInHours,
    /// Where those hours are meant.
    #[serde(deserialize_with = "time_zone")]
    time_zone: TimeZone,
}

impl DevicesConfig {
    /// Room for the longest bodies of a few devices.
    pub(crate) const MIN_STORE_BYTES: usize = 16 * 1024 * 1024;

    /// When devices are told to call next.
    pub fn call_in_window(&self) -> CallInWindow {
        CallInWindow::new(self.call_in_window, self.time_zone.clone())
    }

    /// Whether copies are kept in the directory, as files for people to read. Not beside a server,
    /// unless that is asked for: several hosts may share it.
    pub fn has_json_files(&self) -> bool {
        let is_server = matches!(self.database_url, Some(DatabaseUrl::Postgres(_)));
        self.json_files.unwrap_or(!is_server)
    }

    /// Every path that the section names.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let database = match &mut self.database_url {
            Some(DatabaseUrl::Sqlite(file)) => Some(file),
            Some(DatabaseUrl::Postgres(_)) | None => None,
        };
        let files = [
            &mut self.credentials_file,
            &mut self.database_password_file,
            &mut self.database_ca_file,
        ];
        let directory = self.directory.path_mut();
        let files = files.into_iter().flatten();
        directory.into_iter().chain(database).chain(files)
    }
}

impl Default for DevicesConfig {
    fn default() -> Self {
        Self {
            directory: DevicesDirectory::Default("Engage_Data".into()),
            database_url: None,
            database_password_file: None,
            database_ca_file: None,
            json_files: None,
            max_store_bytes: None,
            plain_http: false,
            credentials_file: None,
            only_known: false,
            keep_audits: KeepDays::default(),
            call_in_window: CallInHours::default(),
            time_zone: TimeZone::system(),
        }
    }
}

/// Where the call-in is recorded, if it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(from = "PathBuf")]
pub enum DevicesDirectory {
    /// `Engage_Data` beside the configuration: nobody asked for it.
    Default(PathBuf),
    /// As configured.
    Configured(PathBuf),
    /// The call-in is not answered: `directory = ""`.
    Off,
}

impl DevicesDirectory {
    /// The directory, if the call-in is answered.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::Configured(path) => Some(path),
            Self::Off => None,
        }
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Default(path) | Self::Configured(path) => Some(path),
            Self::Off => None,
        }
    }
}

impl From<PathBuf> for DevicesDirectory {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str().is_empty() {
            Self::Off
        } else {
            Self::Configured(path)
        }
    }
}

fn database_url<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DatabaseUrl>, D::Error> {
    let url = String::deserialize(deserializer)?.parse();
    url.map(Some).map_err(D::Error::custom)
}

fn keep_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeepDays, D::Error> {
    KeepDays::new(u32::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn max_store_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    const MIN: usize = DevicesConfig::MIN_STORE_BYTES;
    within::<MIN, { usize::MAX >> 4 }, D>(deserializer).map(|bytes| Some(bytes as u64))
}

fn call_in_hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallInHours, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    parse_time_zone(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}
