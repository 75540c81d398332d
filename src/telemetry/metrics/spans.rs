//! What is counted of traces.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::ResultLabels;
use super::register;

/// Counts of spans, by what became of them. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct SpanMetrics(Family<ResultLabels, Counter>);

impl SpanMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let spans = Family::<ResultLabels, Counter>::default();
        for result in [EXPORTED, QUEUE_FULL, REFUSED, UNANSWERED] {
            let _ = spans.get_or_create(&ResultLabels { result });
        }
        Self(register(
            registry,
            "spans",
            "Spans of traces that were exported, or dropped because the queue was full or the collector refused them or did not answer",
            spans,
        ))
    }

    /// The collector has taken so many.
    pub(crate) fn exported(&self, spans: usize) {
        self.count(EXPORTED, spans);
    }

    /// One found no room.
    pub(crate) fn queue_full(&self) {
        self.count(QUEUE_FULL, 1);
    }

    /// So many are dropped, because the collector answered otherwise than 2xx.
    pub(crate) fn refused(&self, spans: usize) {
        self.count(REFUSED, spans);
    }

    /// So many are dropped, because the collector did not answer.
    pub(crate) fn unanswered(&self, spans: usize) {
        self.count(UNANSWERED, spans);
    }

    fn count(&self, result: &'static str, spans: usize) {
        let counter = self.0.get_or_create(&ResultLabels { result });
        counter.inc_by(spans as u64);
    }
}

const EXPORTED: &str = "exported";
const QUEUE_FULL: &str = "queue_full";
const REFUSED: &str = "refused";
const UNANSWERED: &str = "unanswered";
