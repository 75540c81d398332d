//! What is counted of deliveries to the access-control system.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use engage_wire::clock::from_unix_seconds;
use jiff::Timestamp;

use super::labels::ResultLabels;
use super::register;

/// Counts of deliveries. Clones count together.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    attempts: Family<ResultLabels, Counter>,
    events: Counter,
    set_aside: Counter,
    oldest: Gauge,
    devices: Gauge,
    unusable: Gauge,
}

impl DeliveryMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            attempts: register(
                registry,
                "webhook_deliveries",
                "Attempts to deliver events, by result",
                Family::default(),
            ),
            events: register(
                registry,
                "webhook_events",
                "Events that the receiver has taken",
                Counter::default(),
            ),
            set_aside: register(
                registry,
                "webhook_set_aside_events",
                "Events that the receiver refused again and again, and that are not tried any more",
                Counter::default(),
            ),
            devices: register(
                registry,
                "webhook_waiting_devices",
                "Devices with undelivered events, at the last scan",
                Gauge::default(),
            ),
            oldest: register(
                registry,
                "webhook_oldest_undelivered_timestamp_seconds",
                "Unix time at which the oldest undelivered event arrived; 0 if there is none",
                Gauge::default(),
            ),
            unusable: register(
                registry,
                "webhook_unusable",
                "1 while the secret or the certificates of the webhook cannot be used, and nothing is delivered",
                Gauge::default(),
            ),
        }
    }

    /// So many events were answered 2xx.
    pub fn delivered(&self, events: usize) {
        self.attempted("delivered");
        self.events.inc_by(events as u64);
    }

    /// So many events are not tried any more.
    pub fn set_aside(&self, events: usize) {
        self.set_aside.inc_by(events as u64);
    }

    /// The receiver answered, but not 2xx.
    pub fn refused(&self) {
        self.attempted("refused");
    }

    /// The receiver did not answer.
    pub fn unanswered(&self) {
        self.attempted("unanswered");
    }

    /// What waits now: devices, and the Unix time at which the oldest event arrived.
    pub fn waiting(&self, devices: usize, oldest_unix_seconds: Option<i64>) {
        self.devices.set(i64::try_from(devices).unwrap_or(i64::MAX));
        self.oldest.set(oldest_unix_seconds.unwrap_or(0));
    }

    /// Whether nothing can be delivered, because of this host's own files.
    pub fn unusable(&self, is_unusable: bool) {
        self.unusable.set(is_unusable.into());
    }

    /// What waited at the last scan: devices, and when the oldest event arrived.
    pub(crate) fn now_waiting(&self) -> (u64, Option<Timestamp>) {
        let devices = u64::try_from(self.devices.get()).unwrap_or(0);
        let oldest = Some(self.oldest.get()).filter(|seconds| *seconds > 0);
        (devices, oldest.map(from_unix_seconds))
    }

    fn attempted(&self, result: &'static str) {
        self.attempts.get_or_create(&ResultLabels { result }).inc();
    }
}
