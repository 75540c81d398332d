//! Opens what the call-in is recorded in, and what is delivered from there.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use miette::Diagnostic;
use tokio::time::sleep;
use tracing::{error, warn};

use super::open_store::open_in_background;
use crate::adoption::Sightings;
use crate::config::{Config, DevicesConfig, WebhookConfig};
use crate::platform::{file_system_bytes, is_writable_dir, mode_readable_by_others};
use crate::publication::CurrentPublication;
use crate::routes::{Authenticator, BodyMemory, CallIn, DayBudget, DeliveryProblem};
use crate::telemetry::{CallerThrottle, DeliveryMetrics, LogThrottle};
use crate::webhook::{self, Receiver, WebhookError};
use engage_store::{
    AppendedDevices, Credentials, CredentialsError, DatabaseUrl, ImportError, OpenError,
    SqlOptions, StoreHandle, strays,
};
use engage_wire::diagnostic::{causes, hint, one_line};

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

/// The call-in and what happens to its records; neither when it is off.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) call_in: Option<Arc<CallIn>>,
    pub(super) delivery: Option<Delivery>,
}

/// What the webhook delivers, and to whom.
pub(super) struct Delivery {
    webhook: WebhookConfig,
    store: StoreHandle,
    appended: AppendedDevices,
    /// Where it is told why nothing is delivered.
    problem: DeliveryProblem,
}

/// Delivers until `end` completes, and saves how far it came; without a webhook, just waits.
pub(super) async fn deliver(
    delivery: Option<Delivery>,
    metrics: DeliveryMetrics,
    end: impl Future<Output = ()>,
) {
    let Some(Delivery {
        webhook,
        store,
        appended,
        problem,
    }) = delivery
    else {
        return end.await;
    };
    let mut end = pin!(end);
    let begin = async {
        store.opened().await;
        load_receiver(&webhook, &problem).await
    };
    tokio::select! {
        receiver = begin => webhook::run(receiver, Arc::new(store.clone()), appended, metrics, end).await,
        () = &mut end => {}
    }
}

/// Tries again until the receiver's secret and certificates can be used: what devices deliver is
/// stored meanwhile.
async fn load_receiver(webhook: &WebhookConfig, problem: &DeliveryProblem) -> Receiver {
    let mut logged = String::new();
    loop {
        let loaded = Receiver::load(webhook);
        *problem.lock() = loaded.as_ref().err().map(causes);
        let error = match loaded {
            Ok(receiver) => return receiver,
            Err(error) => one_line(&error),
        };
        if error != logged {
            error!("audits and alerts are stored but not delivered until this is mended: {error}");
            logged = error;
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Has the store of `config` opened and reads its credentials. Whatever cannot be used is tried
/// again, call-ins are answered 503 meanwhile, and certificates are served all the same.
///
/// Fails only where another process has the store: that one serves.
pub(super) fn open(
    config: &Config,
    published: &CurrentPublication,
) -> Result<Recording, OpenError> {
    let DevicesConfig {
        directory,
        plain_http,
        credentials_file,
        ..
    } = &config.devices;
    let Some(root) = directory.path() else {
        return Ok(Recording::default());
    };
    warn_of_password_file(&config.devices);
    let store = open_in_background(root, &config.devices)?;
    let webhook = config.webhook.clone();
    let problem = DeliveryProblem::default();
    let call_in = CallIn {
        store: Arc::new(store.clone()),
        sightings: Arc::new(Sightings::new(Arc::new(store.clone()))),
        window: config.devices.call_in_window(),
        authenticator: Authenticator::new(
            *plain_http,
            credentials_file.as_deref().map(credentials),
        ),
        body_bytes: config.limits.body_bytes,
        body_memory: BodyMemory::new(&config.limits),
        no_memory: LogThrottle::default(),
        only_known: config.devices.only_known.then(LogThrottle::default),
        long_bodies: tokio::sync::Mutex::default(),
        day_budget: DayBudget::new(config.limits.device_day_bytes),
        over_budget: LogThrottle::default(),
        published: published.clone(),
        quarantined: CallerThrottle::default(),
        failures: LogThrottle::default(),
        delivery_problem: Arc::clone(&problem),
    };
    Ok(Recording {
        delivery: webhook.map(|webhook| Delivery {
            webhook,
            appended: webhook::subscribe(&store),
            store,
            problem,
        }),
        call_in: Some(Arc::new(call_in)),
    })
}

/// Where they cannot be used, the reload that follows the file's change reads them again.
fn credentials(file: &Path) -> Result<Credentials, CredentialsError> {
    Credentials::load(file).inspect_err(|error| {
        error!(
            "call-ins are answered 503 until the credentials can be read: {}",
            one_line(error)
        );
    })
}

/// What would keep [`open`] from succeeding, as far as can be told without taking the directory
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

/// What [`open`] would say at `warn`.
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
    problems.chain(strays).collect()
}

/// Whether the directory could be written, or made where it does not exist yet.
fn writable(directory: &Path) -> io::Result<()> {
    let existing = directory.ancestors().find(|path| path.exists());
    is_writable_dir(existing.unwrap_or(directory))
}

/// What concerns some devices only.
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

fn warn_of_password_file(devices: &DevicesConfig) {
    if let Some(file) = &devices.database_password_file
        && let Some(mode) = mode_readable_by_others(file)
    {
        let path = file.display();
        warn!(
            "database_password_file `{path}` can be read by everybody (mode {mode:04o}); hint: `chmod o= {path}`"
        );
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
    Some(half.max(DevicesConfig::LEAST_STORE_BYTES as u64))
}

const DATABASE_FILE: &str = "engage-host.db";

/// Between attempts to read the webhook's files.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
