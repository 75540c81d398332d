//! What is counted, for Prometheus.

mod delivery;
mod handshake;
mod labels;
mod listener;
mod publication;
mod rotation;
mod spans;
mod store;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::AccessEvent;
use super::log_writer::dropped_lines;
use crate::adoption::Counts;
use crate::connection::{Connection, ListenerKind, PerListener};
use crate::publication::{ChainGeneration, Publication, SelectionReason};
use engage_store::Store;
use handshake::HandshakeMetrics;
use labels::{ListenerLabels, RefusalLabels, RequestLabels};
use listener::ListenerMetrics;
use publication::PublicationMetrics;
use rotation::RotationMetrics;
use store::StoreMetrics;

pub(crate) use delivery::DeliveryMetrics;
pub(crate) use spans::SpanMetrics;
pub(crate) use store::SeenDevices;

/// Every metric of the daemon. Names carry units; no label holds a device or a secret.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    listeners: PerListener<ListenerMetrics>,
    requests: Family<RequestLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    accept_errors: Family<ListenerLabels, Counter>,
    handshakes: HandshakeMetrics,
    publication: PublicationMetrics,
    rotation: RotationMetrics,
    deliveries: DeliveryMetrics,
    spans: SpanMetrics,
    store: StoreMetrics,
}

impl Metrics {
    /// Registers everything, at zero: a counter that is not there before its first event cannot be
    /// watched for it.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("engage_host");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What is running", version);
        register(
            &mut registry,
            "log_lines_dropped",
            "Lines of the log that could not be written in time",
            dropped_lines(),
        );
        Self {
            listeners: ListenerMetrics::register(&mut registry),
            requests: register(
                &mut registry,
                "requests",
                "Requests answered",
                Family::default(),
            ),
            refused: register(
                &mut registry,
                "refusals",
                "Connections and callers refused, by the limit or list that refused them",
                Family::default(),
            ),
            accept_errors: register(
                &mut registry,
                "accept_errors",
                "Failures of the operating system to accept a connection",
                accept_errors_at_zero(),
            ),
            handshakes: HandshakeMetrics::register(&mut registry),
            publication: PublicationMetrics::register(&mut registry),
            rotation: RotationMetrics::register(&mut registry),
            deliveries: DeliveryMetrics::register(&mut registry),
            spans: SpanMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            registry,
        }
    }

    /// What the webhook counts.
    pub fn deliveries(&self) -> DeliveryMetrics {
        self.deliveries.clone()
    }

    /// What is counted of traces.
    pub(crate) fn spans(&self) -> SpanMetrics {
        self.spans.clone()
    }

    /// A request was answered.
    pub fn answered(&self, access: &AccessEvent<'_>) {
        let &AccessEvent {
            route,
            connection: &Connection { listener, .. },
            status,
            duration,
            ..
        } = access;
        let counter = || {
            self.requests.get_or_create_owned(&RequestLabels {
                route: route.name,
                listener,
                status: status.as_u16(),
            })
        };
        match status {
            StatusCode::OK => route.found[listener].get_or_init(counter).inc(),
            _ => counter().inc(),
        };
        self.listeners[listener]
            .request_duration
            .observe(duration.as_secs_f64());
    }

    /// An announcement was handed out.
    pub fn announced(&self, listener: ListenerKind) {
        self.listeners[listener].announcements.inc();
    }

    /// A connection was let in; it is open until the value is dropped.
    pub fn opened(&self, listener: ListenerKind) -> OpenConnection {
        let gauge = self.listeners[listener].open_connections.clone();
        gauge.inc();
        OpenConnection(gauge)
    }

    /// A connection or caller was refused by a limit or a list, named as in the configuration.
    pub fn refused(&self, listener: ListenerKind, limit: &'static str) {
        self.count_refusal(listener.name(), limit);
    }

    /// The admin listener refused a connection or a request.
    pub fn admin_refused(&self, limit: &'static str) {
        self.count_refusal("admin", limit);
    }

    /// The listener could not accept a connection.
    pub fn accept_failed(&self, listener: ListenerKind) {
        self.accept_errors
            .get_or_create(&ListenerLabels { listener })
            .inc();
    }

    /// A handshake succeeded.
    pub fn handshake_completed(
        &self,
        version: &'static str,
        cipher: &'static str,
        duration: Duration,
    ) {
        self.handshakes.completed(version, cipher, duration);
    }

    /// How many handshakes failed for each reason since the start.
    pub(crate) fn handshake_failures(&self) -> Vec<(&'static str, u64)> {
        self.handshakes.failures()
    }

    /// A handshake failed.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshakes.failed(reason);
    }

    /// One of two chains was shown.
    pub(crate) fn chain_selected(&self, chain: ChainGeneration, reason: SelectionReason) {
        self.rotation.selected(chain, reason);
    }

    /// A chain was not trusted, while the root is being changed.
    pub(crate) fn chain_distrusted(&self, chain: ChainGeneration) {
        self.rotation.distrusted(chain);
    }

    /// How far devices are on their way to another trust anchor, by site.
    pub(crate) fn count_rotation_devices(&self, sites: &BTreeMap<String, Counts>) {
        self.rotation.count_devices(sites);
    }

    /// The same, as they were counted last.
    pub(crate) fn rotation_devices(&self) -> BTreeMap<String, Counts> {
        self.rotation.counted_devices()
    }

    /// A reload ended at `unix_seconds`.
    pub fn reloaded(&self, succeeded: bool, duration: Duration, unix_seconds: i64) {
        self.publication.reloaded(succeeded, duration, unix_seconds);
    }

    /// The daemon tried to renew the server certificate.
    pub fn renewed(&self, succeeded: bool) {
        self.publication.renewed(succeeded);
    }

    /// Shows the publication that is now in force.
    pub fn published(&self, publication: &Publication) {
        self.publication.show(publication);
        self.rotation.show(publication);
    }

    /// What is to be seen of the store now.
    pub(crate) fn show_store(&self, store: &dyn Store) {
        self.store.show(store);
    }

    /// How many devices have called in lately, by site.
    pub(crate) fn devices_seen(&self, sites: &BTreeMap<String, SeenDevices>) {
        self.store.devices_seen(sites);
    }

    /// All of them, in the `OpenMetrics` format.
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an encoder's own error would show as a cut-off text,
        // which the parser in the tests refuses.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn count_refusal(&self, listener: &'static str, limit: &'static str) {
        self.refused
            .get_or_create(&RefusalLabels { listener, limit })
            .inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What is counted of the requests for one route.
#[derive(Debug)]
pub struct RouteMetrics {
    /// What labels call it.
    name: &'static str,
    /// The counter of each listener's 200s, which needs no look-up after the first.
    found: PerListener<OnceLock<Counter>>,
}

impl RouteMetrics {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            found: PerListener::default(),
        }
    }
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn accept_errors_at_zero() -> Family<ListenerLabels, Counter> {
    let errors = Family::<ListenerLabels, Counter>::default();
    for listener in [ListenerKind::Http, ListenerKind::Https] {
        let _ = errors.get_or_create(&ListenerLabels { listener });
    }
    errors
}

/// Makes `metric` part of what `/metrics` answers.
fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// As [`register`], for what is measured in `unit`, which becomes the end of the name.
fn register_with_unit<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Unit,
    metric: M,
) -> M {
    registry.register_with_unit(name, help, unit, metric.clone());
    metric
}

/// Buckets from a look-up (tens of microseconds) to a handshake over bad Wi-Fi.
fn latency_histogram() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0, 15.0,
    ])
}

/// Sites that a metric names.
const MAX_SITES: usize = 200;
