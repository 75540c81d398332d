//! Spans of traces, on their way to whoever exports them (`otlp`).
//!
//! Recording never waits: a span that finds no room is dropped and counted. Where no collector is
//! configured there is no [`Tracer`], and nothing of this runs.

mod id;
mod request;
mod span;

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::warn;

use super::{LogThrottle, SpanMetrics};
use crate::config::SampleRatio;

pub(crate) use id::{SpanContext, SpanId, TraceId};
pub(crate) use request::{MaybeTraced, RequestTrace};
pub(crate) use span::{AttributeValue, EndOfSpan, Span, SpanKind};

/// Takes spans that have ended. Clones share one queue.
#[derive(Clone, Debug)]
pub(crate) struct Tracer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: mpsc::Sender<Span>,
    ratio: SampleRatio,
    metrics: SpanMetrics,
    full: LogThrottle,
}

impl Tracer {
    /// With the other end of its queue.
    pub(crate) fn new(ratio: SampleRatio, metrics: SpanMetrics) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(MAX_QUEUED_SPANS);
        let shared = Shared {
            queue,
            ratio,
            metrics,
            full: LogThrottle::default(),
        };
        (Self(Arc::new(shared)), spans)
    }

    /// Exports what `span` makes, if there is room.
    pub(crate) fn record(&self, span: impl FnOnce() -> Span) {
        let Shared {
            queue,
            metrics,
            full,
            ..
        } = &*self.0;
        if let Ok(permit) = queue.try_reserve() {
            permit.send(span());
            return;
        }
        metrics.queue_full();
        if let Some(others) = full.check() {
            warn!(
                others = others.count(),
                "a span is dropped: {MAX_QUEUED_SPANS} wait for the collector{others}"
            );
        }
    }

    fn is_sampled(&self, trace: TraceId) -> bool {
        self.0.ratio.takes(trace.fraction())
    }
}

/// A minute of a busy host, in about 2 MiB: of what a caller chooses, a span holds a few hundred bytes.
const MAX_QUEUED_SPANS: usize = 2048;
