//! Opens what the call-in is recorded in, and what is delivered from there.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::sleep;
use tracing::error;

use super::log_warnings;
use super::open_store::open_in_background;
use crate::adoption::Sightings;
use crate::config::{Config, DevicesConfig, WebhookConfig};
use crate::publication::CurrentPublication;
use crate::recording;
use crate::routes::{Authenticator, BodyMemory, CallIn, DayBudget, DeliveryProblem};
use crate::telemetry::{CallerThrottle, DeliveryMetrics, LogThrottle, Tracer};
use crate::webhook::{self, Receiver, WebhookWarning};
use engage_store::{AppendedDevices, Credentials, CredentialsError, OpenError, StoreHandle};
use engage_wire::diagnostic::{causes, one_line};

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
    tracer: Option<Tracer>,
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
        // A file server may hang, and no device is to wait for that.
        block_in_place(|| log_warnings(&WebhookWarning::all(&webhook)));
        load_receiver(&webhook, &problem).await
    };
    tokio::select! {
        receiver = begin => {
            let log = Arc::new(store.clone());
            webhook::run(receiver, log, appended, metrics, tracer, end).await;
        }
        () = &mut end => {}
    }
}

/// Tries again until the receiver's secret and certificates can be used: what devices deliver is
/// stored meanwhile.
async fn load_receiver(webhook: &WebhookConfig, problem: &DeliveryProblem) -> Receiver {
    let mut logged = String::new();
    loop {
        let loaded = block_in_place(|| Receiver::load(webhook));
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
    log_warnings(&recording::password_readable(&config.devices));
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

/// Between attempts to read the webhook's files.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
