//! Opens what the call-in is recorded in.

use std::sync::Arc;

use tracing::{error, warn};

use crate::config::{Config, DevicesConfig, DevicesDirectory};
use crate::devices::files::OpenError;
use crate::devices::{Credentials, CredentialsError, DeviceStore, FileStore};
use crate::publication::Published;
use crate::report::{Explain, one_line};
use crate::routes::{Admittance, CallIn, Sightings};
use crate::telemetry::Burst;

/// Why the call-in cannot be answered, and so the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum CallInError {
    /// The credentials file cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
}

impl Explain for CallInError {
    fn code(&self) -> &'static str {
        match self {
            Self::Credentials(source) => source.code(),
            Self::Directory(source) => source.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Credentials(source) => source.hint(),
            Self::Directory(source) => source.hint(),
        }
    }
}

/// Opens the store of `config` and reads its credentials; `None` when the call-in is off.
pub fn open(config: &Config, published: &Published) -> Result<Option<Arc<CallIn>>, CallInError> {
    let DevicesConfig {
        directory,
        plain_http,
        credentials_file,
        keep_audits: _,
        call_in_window,
    } = &config.devices;
    if *directory == DevicesDirectory::Off {
        return Ok(None);
    }
    let credentials = credentials_file
        .as_deref()
        .map(Credentials::load)
        .transpose()?;
    Ok(Some(Arc::new(CallIn {
        store: store(&config.devices)?,
        window: call_in_window.clone(),
        admittance: Admittance::new(*plain_http, credentials),
        body_bytes: config.limits.body_bytes,
        sightings: Arc::new(Sightings::default()),
        published: published.clone(),
        failures: Burst::default(),
    })))
}

/// A directory that nobody configured may be missing its rights: certificates are served all the
/// same, and call-ins are answered 503.
fn store(devices: &DevicesConfig) -> Result<Option<Arc<dyn DeviceStore>>, CallInError> {
    let Some(path) = devices.directory.path() else {
        return Ok(None);
    };
    let store = match FileStore::open(path, devices.keep_audits) {
        Ok(store) => store,
        Err(error @ OpenError::Unusable { .. })
            if matches!(devices.directory, DevicesDirectory::Default(_)) =>
        {
            error!("call-ins are answered 503: {}", one_line(&error));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    for torn in store.torn() {
        warn!("{torn}");
    }
    Ok(Some(Arc::new(store)))
}
