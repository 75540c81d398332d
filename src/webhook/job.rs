//! A few deliveries of one device, then its cursor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::ExponentialBackoff;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::client::{DeliveryHeaders, is_of_events, may_be_of_events};
use super::trace::{Attempt, trace_of};
use super::{Receiver, SUBSCRIBER};
use crate::http_client::PostError;
use crate::telemetry::{DeliveryMetrics, TraceId, Tracer};
use engage_store::{BatchLimit, Cursor, DeviceId, EventBatch, EventLog, Lease, StoreError};

/// What every job shares.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) receiver: Arc<Receiver>,
    pub(super) metrics: DeliveryMetrics,
    /// Where spans of deliveries go, if traces are exported.
    pub(super) tracer: Option<Tracer>,
    /// Deliveries that the receiver took, of whatever device.
    pub(super) accepted: Arc<AtomicU64>,
    /// Cancelled when the daemon stops.
    pub(super) stop: CancellationToken,
}

/// Delivers one device.
pub(super) struct DeliveryJob {
    pub(super) delivery: Delivery,
    pub(super) device: DeviceId,
    pub(super) state: RetryState,
}

/// What one job of a device leaves to the next.
#[derive(Debug, Default)]
pub(super) struct RetryState {
    refusals: Option<RefusedEvents>,
    /// A cursor that is further than the store knows.
    uncommitted: Option<Cursor>,
}

/// That the receiver does not take a device's next events.
#[derive(Debug)]
struct RefusedEvents {
    /// Attempts with the first event alone.
    attempts: u32,
    /// How many events the next attempt holds: halved until the one that is refused stands alone.
    max_events: usize,
    /// What the receiver had taken of others when it first refused.
    accepted_before: u64,
    delays: ExponentialBackoff,
}

/// How a job ended.
pub(super) struct JobResult {
    pub(super) outcome: JobOutcome,
    pub(super) state: RetryState,
    /// Whether the receiver took anything.
    pub(super) is_accepted: bool,
    /// Events that were set aside, with what the receiver said last.
    pub(super) set_aside: Option<(PostError, TraceId)>,
    /// The cursor could not be committed.
    pub(super) commit_error: Option<StoreError>,
}

pub(super) enum JobOutcome {
    /// Nothing waits any more.
    Drained,
    /// More waits, but devices alternate.
    More,
    /// The next delivery failed, and is to be repeated.
    Failed(FailedDelivery),
    /// Another host delivers the device, or may do so by now.
    LeasedElsewhere,
    /// The device's events could not be read.
    Unreadable(StoreError),
    /// The daemon stops.
    Stopped,
}

/// A delivery that was not taken.
pub(super) struct FailedDelivery {
    pub(super) error: PostError,
    pub(super) trace: TraceId,
    /// Of the device's own; `None` where the failure says nothing about the device.
    pub(super) delay: Option<Duration>,
}

impl RetryState {
    pub(super) fn is_refused(&self) -> bool {
        self.refusals.is_some()
    }

    pub(super) fn has_uncommitted(&self) -> bool {
        self.uncommitted.is_some()
    }
}

impl DeliveryJob {
    pub(super) async fn run(mut self) -> JobResult {
        let mut result = JobResult {
            outcome: JobOutcome::More,
            state: RetryState::default(),
            is_accepted: false,
            set_aside: None,
            commit_error: None,
        };
        match self.delivery.log.acquire(SUBSCRIBER, self.device).await {
            Ok(Some(lease)) => self.run_with(lease, &mut result).await,
            Ok(None) => result.outcome = JobOutcome::LeasedElsewhere,
            Err(error) => result.outcome = JobOutcome::Unreadable(error),
        }
        result.state = self.state;
        result
    }

    async fn run_with(&mut self, lease: Lease, result: &mut JobResult) {
        let committed = match self.delivery.log.load_cursor(&lease).await {
            Ok(cursor) => cursor,
            Err(error) => {
                result.outcome = JobOutcome::Unreadable(error);
                return;
            }
        };
        // Another host may have come further since.
        let taken = self.state.uncommitted.take().unwrap_or_default();
        let mut cursor = committed.max(taken);
        result.outcome = self.deliver(&lease, &mut cursor, result).await;
        let taken = Some(cursor).filter(|cursor| *cursor > committed);
        let released = self.delivery.log.release(lease, taken).await;
        if released.is_err() && taken.is_some() {
            self.state.uncommitted = taken;
            result.commit_error = released.err();
        }
    }

    /// Moves `cursor` behind what the receiver took.
    async fn deliver(
        &mut self,
        lease: &Lease,
        cursor: &mut Cursor,
        result: &mut JobResult,
    ) -> JobOutcome {
        for _ in 0..MAX_DELIVERIES {
            let next = self.delivery.log.next_batch(lease, *cursor, self.limit());
            let batch = match next.await {
                Ok(Some(batch)) => batch,
                Ok(None) => return JobOutcome::Drained,
                Err(error) => return JobOutcome::Unreadable(error),
            };
            let trace = trace_of(self.device, &batch);
            let posted = tokio::select! {
                biased;
                // Another host may deliver the same by now, and what comes after it.
                () = lease.expired() => return JobOutcome::LeasedElsewhere,
                // What was answered counts, even if we are to stop now.
                posted = self.post(&batch, trace) => posted,
                () = self.delivery.stop.cancelled() => return JobOutcome::Stopped,
            };
            match posted {
                Ok(()) => {
                    self.accepted(batch.events.len(), trace);
                    result.is_accepted = true;
                }
                Err(error) => match self.failed(error, lease, &batch, trace).await {
                    Ok(error) => result.set_aside = Some((error, trace)),
                    Err(outcome) => return outcome,
                },
            }
            *cursor = batch.cursor;
        }
        JobOutcome::More
    }

    fn limit(&self) -> BatchLimit {
        let max_events = self.state.refusals.as_ref().map(|it| it.max_events);
        BatchLimit {
            events: max_events.unwrap_or(MAX_EVENTS),
            bytes: MAX_BYTES,
        }
    }

    fn accepted(&mut self, events: usize, trace: TraceId) {
        let device = self.device;
        debug!(%device, trace.id = %trace, "{events} events were delivered");
        self.delivery.metrics.delivered(events);
        self.delivery.accepted.fetch_add(1, Ordering::Relaxed);
        self.state.refusals = None;
    }

    /// Sets the events aside, or tells how the job ends.
    async fn failed(
        &mut self,
        error: PostError,
        lease: &Lease,
        batch: &EventBatch,
        trace: TraceId,
    ) -> Result<PostError, JobOutcome> {
        let failed = |error, delay| {
            JobOutcome::Failed(FailedDelivery {
                error,
                trace,
                delay,
            })
        };
        match &error {
            PostError::Answered { .. } => self.delivery.metrics.refused(),
            PostError::Unanswered(_) => self.delivery.metrics.unanswered(),
        }
        if !may_be_of_events(&error) {
            return Err(failed(error, None));
        }
        let accepted = self.delivery.accepted.load(Ordering::Relaxed);
        let refusals = self.state.refusals.get_or_insert_with(|| RefusedEvents {
            attempts: 0,
            max_events: MAX_EVENTS,
            accepted_before: accepted,
            delays: self.delivery.receiver.timing.delays(),
        });
        if batch.events.len() > 1 {
            refusals.max_events = batch.events.len() / 2;
            let delay = self.delivery.receiver.timing.first_delay;
            return Err(failed(error, Some(delay)));
        }
        refusals.attempts += 1;
        let attempts = refusals.attempts;
        let is_of_event = if is_of_events(&error) {
            attempts >= MAX_ATTEMPTS
        } else {
            // A receiver that takes nothing of anybody may have another secret or another path.
            attempts >= MAX_UNCLEAR_ATTEMPTS && accepted > refusals.accepted_before
        };
        if !is_of_event {
            let delay = refusals.delays.next();
            return Err(failed(error, delay));
        }
        let reason = format!("{error}, {attempts} times");
        self.set_aside(lease, batch, &reason).await.map(|()| error)
    }

    async fn set_aside(
        &mut self,
        lease: &Lease,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), JobOutcome> {
        let set_aside = self.delivery.log.set_aside(lease, batch, reason).await;
        set_aside.map_err(|error| match error {
            StoreError::LeaseLost { .. } => JobOutcome::LeasedElsewhere,
            error => JobOutcome::Unreadable(error),
        })?;
        self.delivery.metrics.set_aside(batch.events.len());
        self.state.refusals = None;
        Ok(())
    }

    async fn post(&self, batch: &EventBatch, trace: TraceId) -> Result<(), PostError> {
        let Receiver {
            client,
            secret,
            url,
            ..
        } = &*self.delivery.receiver;
        let attempt = Attempt::new(trace)?;
        let body = body(self.device, batch);
        let headers = DeliveryHeaders {
            signature: secret.signature(Timestamp::now().as_second(), &body),
            delivery: HEXLOWER.encode(&Sha256::digest(&body)[..16]),
            traceparent: attempt.traceparent(),
        };
        let posted = client.post(&headers, body).await;
        if let Some(tracer) = &self.delivery.tracer {
            tracer.record(|| attempt.span(url, self.device, batch, &posted));
        }
        posted.map(|_| ())
    }
}

/// The events go out as they are stored, byte for byte.
fn body(device: DeviceId, batch: &EventBatch) -> Bytes {
    let log = batch.kind.as_str();
    // Neither needs an escape.
    let mut body = format!(r#"{{"device":"{device}","log":"{log}","events":["#).into_bytes();
    for (at, event) in batch.events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.text);
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// Deliveries between two commits of the cursor, which cost as much as one: what a crash makes go
/// out twice, in hundreds of events.
const MAX_DELIVERIES: usize = 10;

/// The most events of one delivery.
const MAX_EVENTS: usize = 100;

/// A delivery ends with the event that reaches this.
const MAX_BYTES: usize = 1024 * 1024;

/// Attempts with one event alone, over two to four minutes, until it is set aside.
const MAX_ATTEMPTS: u32 = 8;

/// The same where the answer does not say that it is about the event: half an hour to an hour.
const MAX_UNCLEAR_ATTEMPTS: u32 = 20;
