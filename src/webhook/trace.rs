//! The trace by which the receiver, this log and the collector name the same delivery.

use std::time::Instant;

use http::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::http_client::PostError;
use crate::telemetry::{AttributeValue, EndOfSpan, Span, SpanContext, SpanId, SpanKind, TraceId};
use engage_store::{DeviceId, EventBatch};
use engage_wire::HttpUrl;

/// Names the delivery of a device's next events, whatever attempts it takes.
///
/// Follows from the first event, of which there is no second: so it stays the same for an attempt
/// with more events or fewer, after a restart, and by another host.
pub(super) fn trace_of(device: DeviceId, batch: &EventBatch) -> TraceId {
    let mut hash = Sha256::new_with_prefix(format!("trace of {device} "));
    if let Some(first) = batch.events.first() {
        hash.update(&first.text);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    TraceId::new(id)
}

/// One attempt, which is a span of its own (W3C Trace Context section 3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    context: SpanContext,
    started: Instant,
}

impl Attempt {
    /// Begins now. Fails without random numbers.
    pub(super) fn new(trace: TraceId) -> Result<Self, PostError> {
        let span = SpanId::random();
        let span =
            span.ok_or_else(|| PostError::Unanswered("there are no random numbers".into()))?;
        Ok(Self {
            context: SpanContext { trace, span },
            started: Instant::now(),
        })
    }

    /// The header that the receiver gets.
    pub(super) fn traceparent(&self) -> String {
        self.context.traceparent()
    }

    /// The span, now that the attempt has ended. Of the URL no more than the server: receivers have tokens
    /// in paths and queries.
    pub(super) fn span(
        &self,
        url: &HttpUrl,
        device: DeviceId,
        batch: &EventBatch,
        posted: &Result<StatusCode, PostError>,
    ) -> Span {
        let end = EndOfSpan::now();
        let mut attributes: Vec<(&'static str, AttributeValue)> = vec![
            ("http.request.method", "POST".into()),
            ("url.scheme", url.scheme().to_string().into()),
            ("server.address", url.host().to_string().into()),
            ("server.port", url.port().into()),
            ("device.serial", device.to_string().into()),
            ("engage.log", batch.kind.as_str().into()),
            ("engage.events", (batch.events.len() as u64).into()),
        ];
        let status = match posted {
            Ok(status) | Err(PostError::Answered { status, .. }) => Some(status),
            Err(PostError::Unanswered(_)) => None,
        };
        attributes.extend(status.map(|it| ("http.response.status_code", it.as_u16().into())));
        if posted.is_err() {
            let status = status.map(|it| it.as_str().to_owned().into());
            attributes.push(("error.type", status.unwrap_or_else(|| "unanswered".into())));
        }
        Span {
            context: self.context,
            parent: None,
            name: "POST".into(),
            kind: SpanKind::Client,
            start_unix_nanos: end.unix_nanos_of(self.started),
            end_unix_nanos: end.unix_nanos(),
            attributes,
            links: requests(batch),
            is_error: posted.is_err(),
        }
    }
}

/// The requests that brought the events, as each event names its batch.
fn requests(batch: &EventBatch) -> Vec<SpanContext> {
    #[derive(Deserialize)]
    struct Named<'a> {
        batch: &'a str,
    }
    let named = batch.events.iter();
    let mut names: Vec<_> = named
        .filter_map(|event| serde_json::from_slice::<Named<'_>>(&event.text).ok())
        .map(|event| event.batch)
        .collect();
    names.dedup();
    let of_batch = |name| SpanContext::of_batch(batch.kind, name);
    names.into_iter().map(of_batch).collect()
}
