//! `[devices]`: the nightly call-in and where it is recorded.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use engage_store::{CallInWindow, KeepDays};

/// How the call-in is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DevicesConfig {
    /// Where it is recorded.
    pub directory: DevicesDirectory,
    /// Whether it is also answered in clear text. Credentials and audits travel with it.
    pub plain_http: bool,
    /// Serial numbers with their password hashes; `None` answers every device.
    pub credentials_file: Option<PathBuf>,
    /// For how long audits and alerts are kept.
    pub keep_audits: KeepDays,
    /// When devices are told to call next.
    pub call_in_window: CallInWindow,
}

/// Where the call-in is recorded, if it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DevicesDirectory {
    /// `Engage_Data` beside the configuration, if it can be written: nobody asked for it, so
    /// certificates are served without it.
    Default(PathBuf),
    /// As configured, or the daemon does not start.
    Configured(PathBuf),
    /// The call-in is not answered: `directory = ""`.
    Off,
}

impl DevicesDirectory {
    /// The directory, if the call-in is answered.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::Configured(path) => Some(path),
            Self::Off => None,
        }
    }
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DevicesSection {
    directory: Option<PathBuf>,
    plain_http: bool,
    credentials_file: Option<PathBuf>,
    #[serde(deserialize_with = "keep_days")]
    keep_audits_days: KeepDays,
    #[serde(deserialize_with = "hours")]
    call_in_window: String,
    #[serde(deserialize_with = "zone")]
    time_zone: TimeZone,
}

impl DevicesSection {
    /// Makes paths absolute; `folder` is the configuration's.
    pub(super) fn in_folder(self, folder: &Path) -> DevicesConfig {
        let Self {
            directory,
            plain_http,
            credentials_file,
            keep_audits_days,
            call_in_window,
            time_zone,
        } = self;
        let directory = match directory {
            None => DevicesDirectory::Default(folder.join("Engage_Data")),
            Some(off) if off.as_os_str().is_empty() => DevicesDirectory::Off,
            Some(directory) => DevicesDirectory::Configured(folder.join(directory)),
        };
        let Ok(call_in_window) = CallInWindow::in_zone(&call_in_window, time_zone) else {
            unreachable!("the hours were read with the section");
        };
        DevicesConfig {
            directory,
            plain_http,
            credentials_file: credentials_file.map(|file| folder.join(file)),
            keep_audits: keep_audits_days,
            call_in_window,
        }
    }
}

impl Default for DevicesSection {
    fn default() -> Self {
        Self {
            directory: None,
            plain_http: false,
            credentials_file: None,
            keep_audits_days: KeepDays::default(),
            call_in_window: "00:00-04:00".to_owned(),
            time_zone: TimeZone::system(),
        }
    }
}

fn keep_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeepDays, D::Error> {
    KeepDays::new(u32::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let hours = String::deserialize(deserializer)?;
    CallInWindow::in_zone(&hours, TimeZone::UTC).map_err(D::Error::custom)?;
    Ok(hours)
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    // The window's own refusal names the zone; its hours are beside the point.
    CallInWindow::new("00:00-04:00", &name).map_err(D::Error::custom)?;
    TimeZone::get(&name).map_err(D::Error::custom)
}
