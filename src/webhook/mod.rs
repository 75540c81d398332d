//! The delivery of stored audits and alerts to the access-control system (docs/WEBHOOK.md).
//!
//! The store's [`EventLog`] is the queue: nothing is copied into another one that could be lost or
//! filled. For each device the store keeps a durable cursor; what follows it is posted, in order,
//! until the receiver has answered 2xx.
//!
//! # Guarantees
//!
//! - **At least once.** The cursor follows the answer, never the other way round. After a crash up
//!   to a thousand events of each device that was being delivered go out again; `batch` and `line`
//!   of an event name it for ever, so that the receiver can drop what it has.
//! - **In order per device.** One delivery of a device is under way at a time, and the next begins
//!   after its 2xx.
//! - **Nobody waits for another device.** Up to eight devices are delivered at once, in turns. One
//!   whose events are refused backs off by itself; the event that is refused again and again is set
//!   aside durably, and the device goes on.
//! - **A receiver that is down is left alone.** One attempt at a time, after 1 s and up to 5 min,
//!   however many devices wait; or when its `Retry-After` says, up to an hour.
//! - **Bounded.** A delivery is 100 events or about 1 MiB; what waits stays in the store.

mod breaker;
mod client;
mod delivery_log;
mod dispatcher;
mod error;
mod job;
mod queue;
mod rescan;
mod secret;
#[cfg(test)]
mod tests;
mod trace;
mod warning;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::WebhookConfig;
use crate::http_client::Connector;
use crate::telemetry::{DeliveryMetrics, Tracer};
use client::WebhookClient;
use dispatcher::Dispatcher;
use engage_store::{AppendedDevices, EventLog, Subscriber};
use engage_wire::HttpUrl;
use job::Delivery;
use secret::Secret;

pub(crate) use error::WebhookError;
pub(crate) use warning::WebhookWarning;

/// A receiver with everything that is needed to deliver to it. Displayed as its URL without the
/// query, which is where some receivers want a token.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: HttpUrl,
    client: WebhookClient,
    secret: Secret,
    timing: DeliveryTiming,
}

impl Receiver {
    /// Reads the secret and the trusted certificates.
    pub(crate) fn load(config: &WebhookConfig) -> Result<Self, WebhookError> {
        Self::with_timing(config, DeliveryTiming::default())
    }

    fn with_timing(config: &WebhookConfig, timing: DeliveryTiming) -> Result<Self, WebhookError> {
        let WebhookConfig {
            url,
            secret_file,
            ca_file,
        } = config;
        let secret = Secret::load(secret_file)?;
        let connector = Connector::new(
            url,
            "webhook ca_file",
            ca_file.as_deref(),
            timing.connect_timeout,
        )?;
        Ok(Self {
            url: url.clone(),
            client: WebhookClient::new(url.clone(), connector, timing),
            secret,
            timing,
        })
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Has what `log` holds kept for the receiver from now on, whether or not that can be used yet.
pub(crate) fn subscribe(log: &dyn EventLog) -> AppendedDevices {
    let appended = AppendedDevices::default();
    log.subscribe(SUBSCRIBER, appended.clone());
    appended
}

/// Delivers what is in `log` until `shutdown` completes; then ends within moments, and leaves an
/// unanswered delivery to the next start.
pub(crate) async fn run(
    receiver: Receiver,
    log: Arc<dyn EventLog>,
    appended: AppendedDevices,
    metrics: DeliveryMetrics,
    tracer: Option<Tracer>,
    shutdown: impl Future<Output = ()>,
) {
    info!("delivering audits and alerts to {receiver}");
    let interval = receiver.timing.rescan_interval;
    let delivery = Delivery {
        log: Arc::clone(&log),
        receiver: Arc::new(receiver),
        metrics: metrics.clone(),
        tracer,
        accepted: Arc::default(),
        stop: CancellationToken::new(),
    };
    let rescans = rescan::rescan_loop(log, appended.clone(), metrics, interval);
    tokio::select! {
        () = Dispatcher::new(delivery, appended).run(shutdown) => {}
        () = rescans => {}
    }
}

/// Deadlines and delays.
#[derive(Clone, Copy, Debug)]
struct DeliveryTiming {
    /// Name look-up, TCP and TLS.
    connect_timeout: Duration,
    /// From the first byte of the request to the answer's head.
    answer_timeout: Duration,
    /// Before the second attempt.
    first_delay: Duration,
    /// Between attempts at last.
    max_delay: Duration,
    rescan_interval: Duration,
}

impl DeliveryTiming {
    /// Twice as long each time, each up to twice as long by chance: senders that failed together
    /// do not come back together.
    fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.max_delay / 2)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

impl Default for DeliveryTiming {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(5),
            rescan_interval: Duration::from_mins(1),
        }
    }
}

const SUBSCRIBER: Subscriber = Subscriber::Webhook;
