//! Opens what the call-in is recorded in, and what is delivered from there.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use miette::Diagnostic;
use tracing::{error, info};

use crate::config::{Config, DevicesConfig, DevicesDirectory};
use crate::platform::is_writable_dir;
use crate::publication::CurrentPublication;
use crate::routes::{Admittance, BodyMemory, CallIn};
use crate::telemetry::{DeliveryMetrics, LogThrottle};
use crate::webhook::{self, Receiver, WebhookError};
use engage_store::{
    ClaimedDirectory, Credentials, CredentialsError, DeviceStore as _, FileStore, Health, KeepDays,
    OpenError, Store, StoreHandle, StoreReader,
};
use engage_wire::diagnostic::{causes, hint, one_line};

/// Why the call-in cannot be answered, and so the daemon does not start.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum CallInError {
    /// The credentials file cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Credentials(#[from] CredentialsError),
    /// The directory cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Directory(#[from] OpenError),
    /// The webhook cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Webhook(#[from] WebhookError),
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
    store: StoreHandle,
}

/// Delivers until `end` completes, and saves how far it came; without a webhook, just waits.
pub(super) async fn deliver(
    delivery: Option<Delivery>,
    metrics: DeliveryMetrics,
    end: impl Future<Output = ()>,
) {
    let Some(Delivery { receiver, store }) = delivery else {
        return end.await;
    };
    let mut end = pin!(end);
    tokio::select! {
        () = store.opened() => webhook::run(receiver, Arc::new(store.clone()), metrics, end).await,
        () = &mut end => {}
    }
}

/// Claims the store of `config` and has it opened, reads its credentials and the webhook's secret.
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
    let store = claimed(ClaimedDirectory::claim(root), directory)?
        .map(|claimed| open_in_background(claimed, root, *keep_audits));
    let delivery = receiver
        .zip(store.clone())
        .map(|(receiver, store)| Delivery { receiver, store });
    let call_in = CallIn {
        store: store.map(|store| Arc::new(store) as Arc<dyn Store>),
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
    let unusable = writable(root).err().map(|source| OpenError::Unusable {
        path: root.to_owned(),
        source,
    });
    let found = [
        credentials.err().map(CallInError::from),
        receiver.err().map(CallInError::from),
        unusable.map(CallInError::from),
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
    let strays = directory
        .path()
        .map(|root| StoreReader::new(root).warnings());
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

/// A directory that nobody configured may be missing its rights: certificates are served all the
/// same, and call-ins are answered 503.
fn claimed(
    claimed: Result<ClaimedDirectory, OpenError>,
    directory: &DevicesDirectory,
) -> Result<Option<ClaimedDirectory>, CallInError> {
    match claimed {
        Err(error @ OpenError::Unusable { .. })
            if matches!(directory, DevicesDirectory::Default(_)) =>
        {
            error!("call-ins are answered 503: {}", one_line(&error));
            Ok(None)
        }
        claimed => Ok(Some(claimed?)),
    }
}

/// Opens the store on a thread of its own: certificates are served meanwhile, however much there
/// is to look at. Mostly it is done before the first request.
fn open_in_background(claimed: ClaimedDirectory, root: &Path, keep: KeepDays) -> StoreHandle {
    let store = StoreHandle::default();
    let (opening, root) = (store.clone(), root.to_owned());
    let (done, opened) = sync_channel(1);
    thread::spawn(move || {
        let mut attempt = claimed.open(keep);
        loop {
            match attempt {
                Ok(opened) => {
                    opening.set(Arc::new(opened));
                    let _ = done.try_send(());
                    return;
                }
                Err(error) => {
                    if opening.health() == Health::Opening {
                        error!(
                            "call-ins are answered 503 until the store can be opened: {}",
                            one_line(&error)
                        );
                    }
                    opening.set_failure(causes(&error));
                }
            }
            thread::sleep(REOPEN_INTERVAL);
            attempt = FileStore::open(&root, keep);
        }
    });
    if opened.recv_timeout(OPEN_FIRST).is_err() {
        info!("the device store is still being opened; certificates are served meanwhile");
    }
    store
}

/// For how long the listeners wait for the store.
const OPEN_FIRST: Duration = Duration::from_secs(1);

const REOPEN_INTERVAL: Duration = Duration::from_secs(5);
