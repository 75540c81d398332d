//! The delivery of stored audits and alerts to the access-control system (docs/WEBHOOK.md).
//!
//! The monthly files of [`devices::files`](engage_store::files) are the queue: nothing is copied
//! into another one that could be lost or filled. For each device a durable cursor says which line
//! of which file the receiver has answered 2xx; what follows it is posted, in order, until it is.
//!
//! # Guarantees
//!
//! - **At least once.** The cursor follows the answer, never the other way round. After a crash up
//!   to a thousand events of each device that was being delivered go out again; `batch` and `line`
//!   of an event name it for ever, so that the receiver can drop what it has.
//! - **In order per device.** One delivery of a device is under way at a time, and the next begins
//!   after its 2xx. Between audits and alerts the order is that in which they arrived.
//! - **Nobody waits for another device.** Up to eight devices are delivered at once, in turns. One
//!   whose events are refused backs off by itself.
//! - **A receiver that is down is left alone.** One attempt at a time, after 1 s and up to 5 min,
//!   however many devices wait; or when its `Retry-After` says, up to an hour.
//! - **Bounded.** A delivery is 100 events or about 1 MiB; what waits stays on disk.

mod client;
mod cursor;
mod dispatch;
mod error;
mod gate;
mod scan;
mod secret;
mod tail;
#[cfg(test)]
mod tests;
mod trust;
mod turn;
mod wake;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tracing::{info, warn};

use crate::config::WebhookConfig;
use crate::platform::mode_readable_by_others;
use crate::telemetry::DeliveryMetrics;
use dispatch::Dispatcher;
use engage_wire::{HostName, HttpUrl};
use secret::Secret;

pub use error::{CaReason, WebhookError};
pub use wake::Wake;

/// A receiver with everything that is needed to deliver to it.
#[derive(Debug)]
pub struct Receiver {
    url: HttpUrl,
    secret: Secret,
    /// For `https` only.
    tls: Option<Arc<ClientConfig>>,
    pace: Pace,
}

impl Receiver {
    /// Reads the secret and the trusted certificates.
    pub fn load(config: &WebhookConfig) -> Result<Self, WebhookError> {
        let WebhookConfig {
            url,
            secret_file,
            ca_file,
        } = config;
        let secret = Secret::load(secret_file)?;
        if let Some(mode) = mode_readable_by_others(secret_file) {
            let path = secret_file.display();
            warn!(
                "webhook secret_file `{path}` can be read by everybody (mode {mode:04o}); hint: `chmod o= {path}`"
            );
        }
        if !url.is_https() && !is_loopback(url) {
            warn!(
                "webhook url `{url}` is plain http: who listens on the way reads every audit; hint: use https"
            );
        }
        let tls = if url.is_https() {
            Some(trust::client(ca_file.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            url: url.clone(),
            secret,
            tls,
            pace: Pace::default(),
        })
    }
}

/// Delivers what is stored below `root` until `shutdown` completes; then ends within moments, and
/// leaves an unanswered delivery to the next start.
pub async fn run(
    receiver: Receiver,
    root: PathBuf,
    wake: Arc<Wake>,
    metrics: DeliveryMetrics,
    shutdown: impl Future<Output = ()>,
) {
    info!(
        "delivering audits and alerts of `{}` to {}",
        root.display(),
        receiver.url
    );
    let every = receiver.pace.scan;
    let scans = scan::repeat(root.clone(), Arc::clone(&wake), metrics.clone(), every);
    let dispatcher = Dispatcher::new(Arc::new(receiver), root, wake, metrics);
    tokio::select! {
        () = dispatcher.run(shutdown) => {}
        () = scans => {}
    }
}

/// Deadlines and pauses.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Name look-up, TCP and TLS.
    connect: Duration,
    /// From the first byte of the request to the answer's head.
    exchange: Duration,
    first_back_off: Duration,
    most_back_off: Duration,
    scan: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            exchange: Duration::from_secs(30),
            first_back_off: Duration::from_secs(1),
            most_back_off: Duration::from_mins(5),
            scan: Duration::from_mins(1),
        }
    }
}

fn is_loopback(url: &HttpUrl) -> bool {
    match url.host() {
        HostName::Ip(address) => address.is_loopback(),
        HostName::Dns(name) => name == "localhost",
    }
}
