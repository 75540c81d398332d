//! The call-in (PROTOCOL.md section 4): four calls, each thin: read, parse, store, answer.
//!
//! Nothing is acknowledged that is not durable; what cannot be read is kept in quarantine before
//! it is refused, because the device will not send it again.

mod body;
mod body_memory;
mod caller;
mod day_budget;

use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;
use tracing::{error, warn};

use super::JSON;
use super::error::{ApiError, BODY_MEMORY, DEVICE_DAY, with_type};
use crate::adoption::Sightings;
use crate::publication::CurrentPublication;
use crate::telemetry::{CallerThrottle, LogThrottle, MaybeTraced, SpanContext};
use caller::Caller;
use engage_store::{
    Alert, AppendOutcome, AuditBatch, BatchId, Call, CallInWindow, ConfigUpload, DeviceId,
    EventKind, Store, StoreError, UploadKind,
};
use engage_wire::diagnostic::one_line;
use engage_wire::paths;

use body::{ReceiveError, collect};
use body_memory::{BodyPermit, NoMemory};
use day_budget::OverBudget;

pub(crate) use body_memory::BodyMemory;
pub(crate) use caller::Authenticator;
pub(super) use caller::BasicCredentials;
pub(crate) use day_budget::DayBudget;

/// What the call-in is answered from.
pub struct CallIn {
    /// Where it is recorded.
    pub store: Arc<dyn Store>,
    /// Which trust anchors devices are seen to have.
    pub sightings: Arc<Sightings>,
    /// When devices are told to call next.
    pub window: CallInWindow,
    /// Who may call, and on which listener.
    pub authenticator: Authenticator,
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// What all bodies share.
    pub body_memory: BodyMemory,
    /// Bodies for which there was no memory, as far as they have been logged.
    pub no_memory: LogThrottle,
    /// Calls of unknown devices that have been logged, if these are refused.
    pub only_known: Option<LogThrottle>,
    /// Held by whoever reads one.
    pub(crate) long_bodies: tokio::sync::Mutex<()>,
    /// What callers may bring within a day.
    pub day_budget: DayBudget,
    /// Callers who brought more, as far as they have been logged.
    pub over_budget: LogThrottle,
    /// Which site a request is for.
    pub published: CurrentPublication,
    /// Bodies in quarantine that have been logged.
    pub(crate) quarantined: CallerThrottle,
    /// Failures of the store that have been logged.
    pub failures: LogThrottle,
    /// Why what is stored is not delivered, if that is known.
    pub delivery_problem: DeliveryProblem,
}

/// Why stored events cannot be delivered, for `/readyz`.
pub(crate) type DeliveryProblem = Arc<Mutex<Option<String>>>;

/// An answer, and whose call it answers.
type Answer = (Extension<DeviceId>, Result<Response, ApiError>);

/// `PUT /swordfish/lock/Config`: 200 without a body, which is what is documented of it.
pub(super) async fn config(
    State(call_in): State<Arc<CallIn>>,
    Caller(call, traced): Caller,
    body: Body,
) -> Answer {
    let answer = async {
        let (upload, reserved) = call_in
            .read(
                (&call, &traced),
                UploadKind::Config,
                body,
                ConfigUpload::parse,
                ConfigUpload::stored_bytes,
            )
            .await?;
        let saving = call_in.store.save_config(&call, upload);
        let saved = traced.child(STORE, saving).await;
        let saved = saved.map(|()| AppendOutcome::Updated);
        let answer = call_in.acknowledged(&call, &reserved, saved);
        answer.map(|_| StatusCode::OK.into_response())
    };
    (Extension(call.device), answer.await)
}

/// `POST /swordfish/lock/audit`.
pub(super) async fn audit(
    State(call_in): State<Arc<CallIn>>,
    Caller(call, traced): Caller,
    body: Body,
) -> Answer {
    let answer = async {
        let (batch, reserved) = call_in
            .read(
                (&call, &traced),
                UploadKind::Audit,
                body,
                AuditBatch::parse,
                AuditBatch::stored_bytes,
            )
            .await?;
        let name = traced.if_traced(|| batch.id(&call.device));
        let appending = call_in.store.append_audits(&call, batch);
        let appended = traced.child(STORE, appending).await;
        note_stored(&traced, EventKind::Audits, name, &appended);
        call_in.acknowledged(&call, &reserved, appended).map(status)
    };
    (Extension(call.device), answer.await)
}

/// `POST /swordfish/lock/alert`: the path is inferred (PROTOCOL.md section 4), the answers are
/// those of an audit.
pub(super) async fn alert(
    State(call_in): State<Arc<CallIn>>,
    Caller(call, traced): Caller,
    body: Body,
) -> Answer {
    let answer = async {
        let (alert, reserved) = call_in
            .read(
                (&call, &traced),
                UploadKind::Alert,
                body,
                Alert::parse,
                Alert::stored_bytes,
            )
            .await?;
        let name = traced.if_traced(|| alert.id(&call.device));
        let appending = call_in.store.append_alert(&call, alert);
        let appended = traced.child(STORE, appending).await;
        note_stored(&traced, EventKind::Alerts, name, &appended);
        call_in.acknowledged(&call, &reserved, appended).map(status)
    };
    (Extension(call.device), answer.await)
}

/// `GET /swordfish/lock/db/{timestamp}`.
pub(super) async fn database(
    State(call_in): State<Arc<CallIn>>,
    Caller(call, traced): Caller,
    uri: Uri,
) -> Answer {
    let answer = call_in.database((&call, &traced), uri.path()).await;
    (Extension(call.device), answer)
}

impl CallIn {
    async fn database(
        &self,
        (call, traced): (&Call, &MaybeTraced),
        path: &str,
    ) -> Result<Response, ApiError> {
        let version = path.strip_prefix(paths::DATABASE).unwrap_or_default();
        let version = percent_decode_str(version)
            .decode_utf8()
            .map_err(|_| ApiError::BadRequest)?;
        let answering = self.store.db_answer(call, &version, &self.window);
        let answered = traced.child(STORE, answering).await;
        let body = answered.map_err(|error| self.unavailable(call.device, &error))?;
        let body = self.body_memory.answer(call.peer, body);
        let body = body.map_err(|short| self.refuse_memory(call, &short))?;
        Ok(with_type(&JSON, body.into()))
    }

    /// The parsed body and what it takes until it is stored, or the answer that refuses it.
    async fn read<T, E: Error>(
        &self,
        (call, traced): (&Call, &MaybeTraced),
        kind: UploadKind,
        body: Body,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
        stored_bytes: impl FnOnce(&T) -> usize,
    ) -> Result<(T, Reserved), ApiError> {
        // Whoever has nothing left costs nothing more.
        self.charge(call, 0)?;
        let memory = self.body_memory.permit(call.peer);
        let reading = collect(body, self.body_bytes, memory);
        let (body, reason) = match traced.child("read body", reading).await {
            Ok(body) => match traced
                .child("parse", self.parse(body.as_slice(), parse))
                .await
            {
                Ok(parsed) => {
                    let budget_bytes = stored_bytes(&parsed);
                    self.charge(call, budget_bytes)?;
                    let (_, memory) = body.into_parts();
                    let reserved = Reserved {
                        budget_bytes,
                        _memory: memory,
                    };
                    return Ok((parsed, reserved));
                }
                Err(error) => (body, error.to_string()),
            },
            Err(ReceiveError::TooLong { beginning }) => (
                beginning,
                format!("it is longer than {} bytes", self.body_bytes),
            ),
            // It did not arrive, so the device knows that it has to send it again.
            Err(ReceiveError::Broken) => return Err(ApiError::Malformed),
            Err(ReceiveError::NoMemory(short)) => return Err(self.refuse_memory(call, &short)),
        };
        let (body, _memory) = body.into_parts();
        let refusing = self.refuse(call, kind, body, &reason);
        Err(traced.child("quarantine", refusing).await)
    }

    /// What a body says. A long one takes milliseconds: not on a thread that serves connections, and
    /// one at a time, so that a core is left for everybody else.
    async fn parse<T>(&self, body: &[u8], parse: impl FnOnce(&[u8]) -> T) -> T {
        if body.len() < LONG_BODY_BYTES {
            return parse(body);
        }
        let _turn = self.long_bodies.lock().await;
        tokio::task::block_in_place(|| parse(body))
    }

    /// 503: the device keeps what it has, and comes again.
    fn refuse_memory(&self, call: &Call, NoMemory { needed, allowed }: &NoMemory) -> ApiError {
        let Call { device, peer, .. } = call;
        if let Some(others) = self.no_memory.check() {
            warn!(
                %device, %peer, others = others.count(),
                "call-in of device {device} refused: bodies from {peer} would take {needed} bytes of `[limits] {BODY_MEMORY}`, of which others leave it {allowed}{others}"
            );
        }
        ApiError::NoBodyMemory
    }

    /// 503, as above, where the caller's day has nothing left.
    fn charge(&self, call: &Call, bytes: usize) -> Result<(), ApiError> {
        let charged = self.day_budget.charge(call, bytes);
        charged.map_err(|OverBudget { payer, spent, allowed }| {
            let Call { device, peer, .. } = call;
            if let Some(others) = self.over_budget.check() {
                warn!(
                    %device, %peer, others = others.count(),
                    "call-in of device {device} refused: {payer} has brought {spent} bytes to be stored within a day; allowed by `[limits] {DEVICE_DAY}`: {allowed}{others}"
                );
            }
            ApiError::OverDayBudget
        })
    }

    /// 400, once the body is kept; 503 where it cannot be.
    async fn refuse(&self, call: &Call, kind: UploadKind, body: Bytes, reason: &str) -> ApiError {
        let (device, bytes) = (call.device, body.len());
        if let Err(over_budget) = self.charge(call, bytes) {
            return over_budget;
        }
        match self.store.quarantine(call, kind, body).await {
            Ok(()) => {
                if let Some(others) = self.quarantined.check(call.peer) {
                    warn!(%device, call = ?kind, size_bytes = bytes, others = others.count(), "{kind:?} of device {device} refused and kept in quarantine: {reason}{others}");
                }
                ApiError::BadRequest
            }
            Err(error) => {
                self.day_budget.give_back(call, bytes);
                self.unavailable(device, &error)
            }
        }
    }

    /// What became of a body that was [read](Self::read). Only what is stored is counted.
    fn acknowledged(
        &self,
        call: &Call,
        reserved: &Reserved,
        stored: Result<AppendOutcome, StoreError>,
    ) -> Result<AppendOutcome, ApiError> {
        if matches!(stored, Err(_) | Ok(AppendOutcome::Unchanged)) {
            self.day_budget.give_back(call, reserved.budget_bytes);
        }
        stored.map_err(|error| self.unavailable(call.device, &error))
    }

    /// 503: nothing is acknowledged, the device keeps what it has.
    fn unavailable(&self, device: DeviceId, error: &StoreError) -> ApiError {
        if let Some(others) = self.failures.check() {
            error!(
                %device, others = others.count(),
                "nothing of device {device} was stored: {}{others}",
                one_line(error)
            );
        }
        match error {
            // Counted as limits: the store is well.
            StoreError::Full { .. } => ApiError::StoreFull,
            StoreError::TooManyDevices { .. } | StoreError::TooManyNewDevices { .. } => {
                ApiError::TooManyNewDevices
            }
            _ => ApiError::StorageUnavailable,
        }
    }
}

/// The span of a request that brought events is the one that their deliveries link to. Not of one that
/// brought them again.
fn note_stored(
    traced: &MaybeTraced,
    kind: EventKind,
    batch: Option<BatchId>,
    appended: &Result<AppendOutcome, StoreError>,
) {
    if let Some(batch) = batch
        && matches!(
            appended,
            Ok(AppendOutcome::Created | AppendOutcome::Updated)
        )
    {
        traced.set_context(SpanContext::of_batch(kind, &batch.to_string()));
    }
}

/// What a body takes until it is stored.
struct Reserved {
    /// Of its caller's day.
    budget_bytes: usize,
    _memory: BodyPermit,
}

/// The status says everything: 201 when the device's record begins, 202 after that.
fn status(appended: AppendOutcome) -> Response {
    let status = match appended {
        AppendOutcome::Created => StatusCode::CREATED,
        AppendOutcome::Unchanged | AppendOutcome::Updated => StatusCode::ACCEPTED,
    };
    status.into_response()
}

/// The child of a request's span that waits for the store.
const STORE: &str = "store";

/// Longer than what most devices deliver in a night.
const LONG_BODY_BYTES: usize = 64 * 1024;
