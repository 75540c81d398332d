//! What requests and connections of a listener have in common: resolved once, and not looked up
//! each time.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::ListenerLabels;
use super::metrics::LATENCY_SECONDS;
use crate::connection::PerListener;

/// The metrics of one listener.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) request_duration: Histogram,
    pub(super) announcements: Counter,
    pub(super) open_connections: Gauge,
}

impl Traffic {
    /// Registers them for both listeners, at zero: a counter that is not there before its first
    /// event cannot be watched for it.
    pub(super) fn register(registry: &mut Registry) -> PerListener<Self> {
        let request_duration: Family<ListenerLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS));
        let announcements = Family::<ListenerLabels, Counter>::default();
        let open_connections = Family::<ListenerLabels, Gauge>::default();
        registry.register_with_unit(
            "request_duration",
            "Time from the end of a request's head to its answer",
            Unit::Seconds,
            request_duration.clone(),
        );
        registry.register(
            "announcement_fetches",
            "Announcements handed out",
            announcements.clone(),
        );
        registry.register(
            "open_connections",
            "Connections open now",
            open_connections.clone(),
        );
        PerListener::new(|listener| {
            let labels = ListenerLabels { listener };
            Self {
                request_duration: request_duration.get_or_create(&labels).clone(),
                announcements: announcements.get_or_create(&labels).clone(),
                open_connections: open_connections.get_or_create(&labels).clone(),
            }
        })
    }
}
