//! What is counted of TLS handshakes.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{HandshakeLabels, ReasonLabels};
use super::{latency_histogram, register, register_with_unit};
use crate::tls::FailureReason;

#[derive(Debug)]
pub(super) struct HandshakeMetrics {
    completed: Family<HandshakeLabels, Counter>,
    failed: Family<ReasonLabels, Counter>,
    duration: Histogram,
}

impl HandshakeMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let failed = Family::<ReasonLabels, Counter>::default();
        for (_, reason) in FailureReason::LABELS {
            let _ = failed.get_or_create(&ReasonLabels { reason });
        }
        Self {
            completed: register(
                registry,
                "tls_handshakes",
                "Handshakes completed",
                Family::default(),
            ),
            failed: register(
                registry,
                "tls_handshake_failures",
                "Handshakes failed, by reason (docs/LOGGING.md)",
                failed,
            ),
            duration: register_with_unit(
                registry,
                "tls_handshake_duration",
                "Time of completed handshakes, waiting for the device included",
                Unit::Seconds,
                latency_histogram(),
            ),
        }
    }

    pub(super) fn completed(&self, version: &'static str, cipher: &'static str, took: Duration) {
        self.completed
            .get_or_create(&HandshakeLabels { version, cipher })
            .inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn failures(&self) -> Vec<(&'static str, u64)> {
        let labels = FailureReason::LABELS.iter();
        let counts = labels.map(|&(_, reason)| {
            let counter = self.failed.get_or_create(&ReasonLabels { reason });
            (reason, counter.get())
        });
        counts.collect()
    }

    pub(super) fn failed(&self, reason: &'static str) {
        self.failed.get_or_create(&ReasonLabels { reason }).inc();
    }
}
