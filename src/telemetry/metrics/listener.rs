//! What is counted for each request and connection: resolved once for each listener, and not
//! looked up each time.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::ListenerLabels;
use super::{latency_histogram, register, register_with_unit};
use crate::connection::PerListener;

/// The metrics of one listener.
#[derive(Debug)]
pub(super) struct ListenerMetrics {
    pub(super) request_duration: Histogram,
    pub(super) announcements: Counter,
    pub(super) open_connections: Gauge,
}

impl ListenerMetrics {
    /// Registers them for both listeners, at zero: a counter that is not there before its first
    /// event cannot be watched for it.
    pub(super) fn register(registry: &mut Registry) -> PerListener<Self> {
        let request_duration = register_with_unit(
            registry,
            "request_duration",
            "Time from the end of a request's head to its answer",
            Unit::Seconds,
            Family::<ListenerLabels, Histogram>::new_with_constructor(latency_histogram),
        );
        let announcements = register(
            registry,
            "announcement_fetches",
            "Announcements handed out",
            Family::<ListenerLabels, Counter>::default(),
        );
        let open_connections = register(
            registry,
            "open_connections",
            "Connections open now",
            Family::<ListenerLabels, Gauge>::default(),
        );
        PerListener::new(|listener| {
            let labels = ListenerLabels { listener };
            Self {
                request_duration: request_duration.get_or_create_owned(&labels),
                announcements: announcements.get_or_create_owned(&labels),
                open_connections: open_connections.get_or_create_owned(&labels),
            }
        })
    }
}
