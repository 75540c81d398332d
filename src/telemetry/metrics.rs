//! What is counted, in the Prometheus text format.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{
    CertificateLabels, FailureLabels, HandshakeLabels, ListenerLabels, RefusalLabels, ReloadLabels,
    RequestLabels,
};
use super::traffic::Traffic;
use super::{Access, DeliveryMetrics, Route};
use crate::connection::{Connection, ListenerKind, PerListener};
use crate::publication::Publication;
use crate::tls::FailureReason;

/// Every metric of the daemon. Names carry units; no label holds a device or a secret.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    traffic: PerListener<Traffic>,
    refused: Family<RefusalLabels, Counter>,
    accept_errors: Family<ListenerLabels, Counter>,
    handshakes: Family<HandshakeLabels, Counter>,
    handshake_failures: Family<FailureLabels, Counter>,
    handshake_duration: Histogram,
    reloads: Family<ReloadLabels, Counter>,
    reload_duration: Histogram,
    last_reload: Gauge,
    not_after: Family<CertificateLabels, Gauge>,
    chain_size: Gauge,
    deliveries: DeliveryMetrics,
}

impl Metrics {
    /// Registers everything, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("engage_host");
        let traffic = Traffic::register(&mut registry);
        let mut metrics = Self {
            registry,
            requests: Family::default(),
            traffic,
            refused: Family::default(),
            accept_errors: Family::default(),
            handshakes: Family::default(),
            handshake_failures: Family::default(),
            handshake_duration: Histogram::new(LATENCY_SECONDS),
            reloads: Family::default(),
            reload_duration: Histogram::new(LATENCY_SECONDS),
            last_reload: Gauge::default(),
            not_after: Family::default(),
            chain_size: Gauge::default(),
            deliveries: DeliveryMetrics::default(),
        };
        metrics.register_connections();
        metrics.register_publication();
        metrics.start_at_zero();
        metrics.deliveries.register(&mut metrics.registry);
        metrics
    }

    /// What the webhook counts.
    #[must_use]
    pub fn deliveries(&self) -> DeliveryMetrics {
        self.deliveries.clone()
    }

    /// A request was answered.
    pub fn answered(&self, access: &Access<'_>) {
        let &Access {
            route,
            connection: &Connection { listener, .. },
            status,
            duration,
            ..
        } = access;
        let status = status.as_u16();
        self.requests
            .get_or_create(&RequestLabels {
                route,
                listener,
                status,
            })
            .inc();
        self.traffic[listener]
            .request_duration
            .observe(duration.as_secs_f64());
        if route == Route::Announcement && status == 200 {
            self.traffic[listener].announcements.inc();
        }
    }

    /// A connection was let in; it is open until the value is dropped.
    #[must_use]
    pub fn opened(&self, listener: ListenerKind) -> OpenConnection {
        let gauge = self.traffic[listener].open_connections.clone();
        gauge.inc();
        OpenConnection(gauge)
    }

    /// A connection or caller was refused by a limit or a list, named as in the configuration.
    pub fn refused(&self, listener: ListenerKind, limit: &'static str) {
        self.refused
            .get_or_create(&RefusalLabels { listener, limit })
            .inc();
    }

    /// The listener could not accept a connection.
    pub fn accept_failed(&self, listener: ListenerKind) {
        self.accept_errors
            .get_or_create(&ListenerLabels { listener })
            .inc();
    }

    /// A handshake succeeded.
    pub fn shook_hands(&self, version: &'static str, cipher: &'static str, duration: Duration) {
        self.handshakes
            .get_or_create(&HandshakeLabels { version, cipher })
            .inc();
        self.handshake_duration.observe(duration.as_secs_f64());
    }

    /// A handshake failed.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshake_failures
            .get_or_create(&FailureLabels { reason })
            .inc();
    }

    /// A reload ended at `unix_seconds`.
    pub fn reloaded(&self, succeeded: bool, duration: Duration, unix_seconds: i64) {
        let result = RELOAD_RESULTS[usize::from(succeeded)];
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.reload_duration.observe(duration.as_secs_f64());
        if succeeded {
            self.last_reload.set(unix_seconds);
        }
    }

    /// Shows the publication that is now in force.
    pub fn published(&self, publication: &Publication) {
        self.not_after.clear();
        for expiry in publication.expiries() {
            let labels = CertificateLabels {
                role: expiry.role.clone(),
                subject: expiry.subject.clone(),
            };
            self.not_after
                .get_or_create(&labels)
                .set(expiry.not_after.unix());
        }
        self.chain_size
            .set(i64::try_from(publication.chain_bytes()).unwrap_or(i64::MAX));
    }

    /// The whole text, as `/metrics` answers it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an encoder's own error would show as a cut-off text,
        // which the parser in the tests refuses.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// A counter that is not there before its first event cannot be watched for it.
    fn start_at_zero(&self) {
        for listener in [ListenerKind::Http, ListenerKind::Https] {
            let _ = self
                .accept_errors
                .get_or_create(&ListenerLabels { listener });
        }
        for reason in FailureReason::ALL {
            let reason = reason.label();
            let _ = self
                .handshake_failures
                .get_or_create(&FailureLabels { reason });
        }
        for result in RELOAD_RESULTS {
            let _ = self.reloads.get_or_create(&ReloadLabels { result });
        }
    }

    fn register_connections(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register(
            "refusals",
            "Connections and callers refused, by the limit or list that refused them",
            self.refused.clone(),
        );
        registry.register(
            "accept_errors",
            "Failures of the operating system to accept a connection",
            self.accept_errors.clone(),
        );
        registry.register(
            "tls_handshakes",
            "Handshakes completed",
            self.handshakes.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "Handshakes failed, by reason (docs/LOGGING.md)",
            self.handshake_failures.clone(),
        );
        registry.register_with_unit(
            "tls_handshake_duration",
            "Time of completed handshakes, waiting for the device included",
            Unit::Seconds,
            self.handshake_duration.clone(),
        );
    }

    fn register_publication(&mut self) {
        let registry = &mut self.registry;
        registry.register("reloads", "Reloads, by result", self.reloads.clone());
        registry.register_with_unit(
            "reload_duration",
            "Time to read, prove and swap in",
            Unit::Seconds,
            self.reload_duration.clone(),
        );
        registry.register(
            "last_reload_timestamp_seconds",
            "Unix time of the last successful reload; 0 before the first",
            self.last_reload.clone(),
        );
        registry.register(
            "certificate_not_after_timestamp_seconds",
            "Unix time of a certificate's last valid second",
            self.not_after.clone(),
        );
        registry.register_with_unit(
            "chain_size",
            "Largest DER total of server, intermediates and root that a device counts",
            Unit::Bytes,
            self.chain_size.clone(),
        );
        registry.register(
            "build",
            "What is running",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
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

const RELOAD_RESULTS: [&str; 2] = ["failure", "success"];

/// From a look-up (tens of microseconds) to a handshake over bad Wi-Fi.
pub(super) const LATENCY_SECONDS: [f64; 12] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0, 15.0,
];
