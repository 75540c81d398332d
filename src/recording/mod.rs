//! What the call-in is recorded in, as a configuration says: where it is, and what stands against it.

mod location;

use std::io;
use std::path::Path;

use miette::Diagnostic;

use crate::config::{Config, DevicesConfig};
use crate::platform::{file_system_bytes, is_writable_dir};
use crate::secret_file::ReadableByOthers;
use crate::webhook::{Receiver, WebhookError, WebhookWarning};
use engage_store::{
    Credentials, CredentialsError, DatabaseUrl, ImportError, OpenError, SqlOptions, strays,
};
use engage_wire::diagnostic::hint;

pub(crate) use location::StoreLocation;

/// Why call-ins are not answered, or their events not delivered.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum CallInError {
    /// The credentials file cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Credentials(#[from] CredentialsError),
    /// The directory or the database cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] OpenError),
    /// The records of version 0.1.0 cannot be taken over.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Import(ImportError),
    /// The webhook cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Webhook(#[from] WebhookError),
}

impl From<ImportError> for CallInError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::InUse { directory, pid } => OpenError::Held { directory, pid }.into(),
            error => Self::Import(error),
        }
    }
}

/// What would keep the store from being opened, as far as can be told without taking the directory
/// over from a daemon that runs.
pub(crate) fn refusals(config: &Config) -> Vec<CallInError> {
    let DevicesConfig {
        directory,
        credentials_file,
        ..
    } = &config.devices;
    let Some(root) = directory.path() else {
        return Vec::new();
    };
    let credentials = credentials_file
        .as_deref()
        .map(Credentials::load)
        .transpose();
    let receiver = config.webhook.as_ref().map(Receiver::load).transpose();
    let directory = writable(root).map_err(|source| OpenError::Unusable {
        path: root.to_owned(),
        source,
    });
    let store = directory.map_err(CallInError::from).and_then(|()| {
        let database = database(&config.devices, root);
        database.check().map_err(CallInError::from)
    });
    let found = [
        credentials.err().map(CallInError::from),
        receiver.err().map(CallInError::from),
        store.err(),
    ];
    found.into_iter().flatten().collect()
}

/// What a start would say at `warn`.
pub(crate) fn warnings(config: &Config) -> Vec<RecordingWarning> {
    let DevicesConfig {
        directory,
        credentials_file,
        ..
    } = &config.devices;
    let credentials = credentials_file.as_deref().map(Credentials::load);
    let credentials = credentials.and_then(Result::ok);
    let problems = credentials.iter().flat_map(Credentials::problems);
    let problems = problems.map(|problem| RecordingWarning::Credentials {
        problem: problem.to_string(),
        hint: hint(problem),
    });
    let strays = directory.path().map(strays);
    let strays = strays.and_then(Result::ok).unwrap_or_default();
    let strays = strays
        .iter()
        .map(|stray| RecordingWarning::StrayFolder(stray.to_string()));
    problems.chain(strays).chain(exposures(config)).collect()
}

/// What others could read of the store's or the webhook's secrets; nothing of what is switched off.
fn exposures(config: &Config) -> Vec<RecordingWarning> {
    if config.devices.directory.path().is_none() {
        return Vec::new();
    }
    let password = password_readable(&config.devices);
    let webhook = config.webhook.iter().flat_map(WebhookWarning::all);
    let webhook = webhook.map(RecordingWarning::Webhook);
    password
        .map(RecordingWarning::PasswordReadable)
        .into_iter()
        .chain(webhook)
        .collect()
}

/// That others can read the database's password.
pub(crate) fn password_readable(devices: &DevicesConfig) -> Option<ReadableByOthers> {
    let file = devices.database_password_file.as_deref()?;
    ReadableByOthers::find("database_password_file", file)
}

/// Whether the directory could be written, or made where it does not exist yet.
fn writable(directory: &Path) -> io::Result<()> {
    let existing = directory.ancestors().find(|path| path.exists());
    is_writable_dir(existing.unwrap_or(directory))
}

/// What concerns some devices only, or what others could read.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum RecordingWarning {
    #[error("{problem}")]
    #[diagnostic(code("malformed-credentials"), help("{hint}"))]
    Credentials { problem: String, hint: String },
    #[error("{0}")]
    #[diagnostic(
        code("stray-device-folder"),
        help("`engage-host devices` lists those that are read")
    )]
    StrayFolder(String),
    #[error(transparent)]
    #[diagnostic(transparent)]
    PasswordReadable(ReadableByOthers),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Webhook(WebhookWarning),
}

/// The database that holds the call-in, with what it takes to be let in: a file in `directory`
/// unless another one is named.
pub(crate) fn database(devices: &DevicesConfig, directory: &Path) -> SqlOptions {
    let default = || DatabaseUrl::Sqlite(directory.join(DATABASE_FILE));
    let url = devices.database_url.clone().unwrap_or_else(default);
    SqlOptions {
        max_bytes: devices.max_store_bytes.or_else(|| default_max_bytes(&url)),
        url,
        password_file: devices.database_password_file.clone(),
        ca_file: devices.database_ca_file.clone(),
        directory: Some(directory.to_owned()),
        json_files: devices.has_json_files(),
    }
}

/// Half of SQLite's file system: the rest is for the copies in JSON files, which take half as much, and
/// for everybody else. Whoever has a server knows how much it may take.
fn default_max_bytes(url: &DatabaseUrl) -> Option<u64> {
    let DatabaseUrl::Sqlite(file) = url else {
        return None;
    };
    let existing = file.ancestors().find(|path| path.exists())?;
    let half = file_system_bytes(existing).ok()? / 2;
    Some(half.max(DevicesConfig::MIN_STORE_BYTES as u64))
}

const DATABASE_FILE: &str = "engage-host.db";
