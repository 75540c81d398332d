//! The call-in (PROTOCOL.md section 4): four calls, each thin: read, parse, store, answer.
//!
//! Nothing is acknowledged that is not durable; what cannot be read is kept in quarantine before
//! it is refused, because the device will not send it again.

mod body;
mod caller;
mod sightings;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use bytes::Bytes;
use jiff::Timestamp;
use tracing::{error, warn};

use super::answer;
use crate::devices::{
    Acknowledged, Alert, AuditBatch, Call, CallInWindow, ConfigUpload, DeviceId, DeviceStore,
    Health, StoreError,
};
use crate::publication::Published;
use crate::report::one_line;
use crate::telemetry::Burst;

pub use caller::Admittance;
pub use sightings::Sightings;

/// What the call-in is answered from.
pub struct CallIn {
    /// Where it is recorded; `None` when the directory could not be opened.
    pub store: Option<Arc<dyn DeviceStore>>,
    /// When devices are told to call next.
    pub window: CallInWindow,
    /// Who may call, and on which listener.
    pub admittance: Admittance,
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// Who fetched which announcement before calling in.
    pub sightings: Arc<Sightings>,
    /// Which site a request is for.
    pub published: Published,
    /// Failures of the store that have been logged.
    pub failures: Burst,
}

/// The routes of the call-in, each behind [`caller::identify`].
pub(super) fn router(call_in: Arc<CallIn>) -> Router {
    Router::new()
        // The specification prints `Config`; its siblings are lower case.
        .route(CONFIG, put(config))
        .route(CONFIG_LOWER_CASE, put(config))
        .route(DATABASE, get(database))
        .route(AUDIT, post(audit))
        .route(ALERT, post(alert))
        .route_layer(from_fn_with_state(Arc::clone(&call_in), caller::identify))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(call_in)
}

/// `PUT /swordfish/lock/Config`: 200 without a body, which is what is documented of it.
async fn config(
    State(call_in): State<Arc<CallIn>>,
    Extension(device): Extension<DeviceId>,
    request: Request,
) -> Response {
    let received_at = Timestamp::now();
    let read = call_in.read(device, Call::Config, request, ConfigUpload::parse);
    let stored = match read.await {
        Ok((store, upload)) => store.save_config(device, upload, received_at).await,
        Err(refusal) => return refusal,
    };
    call_in.answered(device, stored.map(|()| StatusCode::OK))
}

/// `POST /swordfish/lock/audit`.
async fn audit(
    State(call_in): State<Arc<CallIn>>,
    Extension(device): Extension<DeviceId>,
    request: Request,
) -> Response {
    let received_at = Timestamp::now();
    let read = call_in.read(device, Call::Audit, request, AuditBatch::parse);
    let stored = match read.await {
        Ok((store, batch)) => store.append_audits(device, batch, received_at).await,
        Err(refusal) => return refusal,
    };
    call_in.answered(device, stored.map(status))
}

/// `POST /swordfish/lock/alert`: the path is inferred (PROTOCOL.md section 4), the answers are
/// those of an audit.
async fn alert(
    State(call_in): State<Arc<CallIn>>,
    Extension(device): Extension<DeviceId>,
    request: Request,
) -> Response {
    let received_at = Timestamp::now();
    let read = call_in.read(device, Call::Alert, request, Alert::parse);
    let stored = match read.await {
        Ok((store, alert)) => store.append_alert(device, alert, received_at).await,
        Err(refusal) => return refusal,
    };
    call_in.answered(device, stored.map(status))
}

/// `GET /swordfish/lock/db/{timestamp}`.
async fn database(
    State(call_in): State<Arc<CallIn>>,
    Extension(device): Extension<DeviceId>,
    asked: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(asked)) = asked else {
        return answer::bad_request();
    };
    let Some(store) = &call_in.store else {
        return answer::storage_unavailable();
    };
    let answered = store
        .db_answer(device, &asked, &call_in.window, Timestamp::now())
        .await;
    match answered {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => call_in.unavailable(device, &error),
    }
}

impl CallIn {
    /// Whether what devices deliver can be stored now; `None` where it is not stored at all.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.store.as_ref().map(|store| store.health())
    }

    /// The store and the parsed body, or the answer that refuses it.
    async fn read<T, E: std::error::Error>(
        &self,
        device: DeviceId,
        call: Call,
        request: Request,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<(&dyn DeviceStore, T), Response> {
        let store = self
            .store
            .as_deref()
            .ok_or_else(answer::storage_unavailable)?;
        let (body, reason) = match body::collect(request.into_body(), self.body_bytes).await {
            Ok(body) => match parse(&body) {
                Ok(parsed) => return Ok((store, parsed)),
                Err(error) => (body, error.to_string()),
            },
            Err(body::BodyError::TooLong { beginning }) => (
                beginning,
                format!("it is longer than {} bytes", self.body_bytes),
            ),
            // It did not arrive, so the device knows that it has to send it again.
            Err(body::BodyError::Broken) => return Err(answer::bad_request()),
        };
        Err(self.refuse(store, device, call, body, &reason).await)
    }

    /// 400, once the body is kept; 503 where it cannot be.
    async fn refuse(
        &self,
        store: &dyn DeviceStore,
        device: DeviceId,
        call: Call,
        body: Bytes,
        reason: &str,
    ) -> Response {
        warn!(%device, ?call, size_bytes = body.len(), "{call:?} of device {device} refused and kept in quarantine: {reason}");
        match store.quarantine(device, call, body, Timestamp::now()).await {
            Ok(()) => answer::bad_request(),
            Err(error) => self.unavailable(device, &error),
        }
    }

    fn answered(&self, device: DeviceId, stored: Result<StatusCode, StoreError>) -> Response {
        match stored {
            Ok(status) => status.into_response(),
            Err(error) => self.unavailable(device, &error),
        }
    }

    /// 503: nothing is acknowledged, the device keeps what it has.
    fn unavailable(&self, device: DeviceId, error: &StoreError) -> Response {
        if let Some(others) = self.failures.hit() {
            error!(
                %device, others,
                "nothing of device {device} was stored: {}; {others} others since the last such line",
                one_line(error)
            );
        }
        answer::storage_unavailable()
    }
}

/// 201 when the device's record begins, 202 after that.
fn status(acknowledged: Acknowledged) -> StatusCode {
    match acknowledged {
        Acknowledged::Created => StatusCode::CREATED,
        Acknowledged::Updated => StatusCode::ACCEPTED,
    }
}

pub(crate) const CONFIG: &str = "/swordfish/lock/Config";
pub(crate) const CONFIG_LOWER_CASE: &str = "/swordfish/lock/config";
pub(crate) const DATABASE: &str = "/swordfish/lock/db/{timestamp}";
pub(crate) const AUDIT: &str = "/swordfish/lock/audit";
pub(crate) const ALERT: &str = "/swordfish/lock/alert";
