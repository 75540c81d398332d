//! Opens what the call-in is recorded in, and what is delivered from there.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tracing::error;

use crate::config::{Config, DevicesConfig, DevicesDirectory};
use crate::publication::{CurrentPublication, Warning};
use crate::routes::{Admittance, BodyMemory, CallIn};
use crate::telemetry::{DeliveryMetrics, LogThrottle};
use crate::webhook::{self, Receiver, WebhookError};
use engage_store::{
    Credentials, CredentialsError, EventLog, FileStore, OpenError, Store, StoreReader,
};
use engage_wire::diagnostic::{Explain, one_line};

/// Why the call-in cannot be answered, and so the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallInError {
    /// The credentials file cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// The webhook cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Explain for CallInError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Credentials(source) => source.code(),
            Self::Directory(source) => source.code(),
            Self::Webhook(source) => source.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Credentials(source) => source.hint(),
            Self::Directory(source) => source.hint(),
            Self::Webhook(source) => source.hint(),
        }
    }
}

/// The call-in and what happens to its records; neither when it is off.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) call_in: Option<Arc<CallIn>>,
    pub(super) delivery: Option<Delivery>,
}

/// What the webhook delivers, and to whom.
pub(super) struct Delivery {
    receiver: Receiver,
    log: Arc<dyn EventLog>,
}

/// Delivers until `end` completes, and saves how far it came; without a webhook, just waits.
pub(super) async fn deliver(
    delivery: Option<Delivery>,
    metrics: DeliveryMetrics,
    end: impl Future<Output = ()>,
) {
    match delivery {
        Some(Delivery { receiver, log }) => webhook::run(receiver, log, metrics, end).await,
        None => end.await,
    }
}

/// Opens the store of `config`, reads its credentials and the webhook's secret.
pub(super) fn open(
    config: &Config,
    published: &CurrentPublication,
) -> Result<Recording, CallInError> {
    let DevicesConfig {
        directory,
        plain_http,
        credentials_file,
        keep_audits,
        ..
    } = &config.devices;
    let Some(root) = directory.path() else {
        return Ok(Recording::default());
    };
    let credentials = credentials_file
        .as_deref()
        .map(Credentials::load)
        .transpose()?;
    let receiver = config.webhook.as_ref().map(Receiver::load).transpose()?;
    let store = usable(FileStore::open(root, *keep_audits), directory)?;
    let delivery = receiver
        .zip(store.clone())
        .map(|(receiver, store)| Delivery {
            receiver,
            log: store,
        });
    let call_in = CallIn {
        store,
        window: config.devices.call_in_window(),
        admittance: Admittance::new(*plain_http, credentials),
        body_bytes: config.limits.body_bytes,
        body_memory: BodyMemory::new(config.limits.body_memory_bytes, config.limits.body_bytes),
        no_memory: LogThrottle::default(),
        announcement_fetches: Arc::default(),
        published: published.clone(),
        failures: LogThrottle::default(),
    };
    Ok(Recording {
        delivery,
        call_in: Some(Arc::new(call_in)),
    })
}

/// What would keep [`open`] from succeeding, as far as can be told without taking the directory
/// over from a daemon that runs.
#[must_use]
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
    let is_needed = matches!(directory, DevicesDirectory::Configured(_));
    let unusable = (is_needed && root.exists() && !root.is_dir()).then(|| OpenError::Unusable {
        path: root.to_owned(),
        source: io::ErrorKind::NotADirectory.into(),
    });
    let found = [
        credentials.err().map(CallInError::from),
        receiver.err().map(CallInError::from),
        unusable.map(CallInError::from),
    ];
    found.into_iter().flatten().collect()
}

/// What [`open`] would say at `warn`.
pub(crate) fn warnings(config: &Config) -> Vec<Warning> {
    let DevicesConfig {
        directory,
        credentials_file,
        ..
    } = &config.devices;
    let credentials = credentials_file.as_deref().map(Credentials::load);
    let credentials = credentials.and_then(Result::ok);
    let problems = credentials.iter().flat_map(Credentials::problems);
    let problems = problems.map(|problem| Warning {
        code: "malformed-credentials",
        message: problem.to_string(),
        hint: problem.hint(),
    });
    let strays = directory
        .path()
        .map(|root| StoreReader::new(root).warnings());
    let strays = strays.and_then(Result::ok).unwrap_or_default();
    let strays = strays.iter().map(|stray| Warning {
        code: "stray-device-folder",
        message: stray.to_string(),
        hint: "`engage-host devices` lists those that are read".into(),
    });
    problems.chain(strays).collect()
}

/// A directory that nobody configured may be missing its rights: certificates are served all the
/// same, and call-ins are answered 503.
fn usable(
    opened: Result<FileStore, OpenError>,
    directory: &DevicesDirectory,
) -> Result<Option<Arc<dyn Store>>, CallInError> {
    let store = match opened {
        Ok(store) => store,
        Err(error @ OpenError::Unusable { .. })
            if matches!(directory, DevicesDirectory::Default(_)) =>
        {
            error!("call-ins are answered 503: {}", one_line(&error));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Arc::new(store)))
}
