//! The call-in (PROTOCOL.md section 4): four calls, each thin: read, parse, store, answer.
//!
//! Nothing is acknowledged that is not durable; what cannot be read is kept in quarantine before
//! it is refused, because the device will not send it again.

mod body;
mod caller;
mod login_throttle;

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tracing::{error, warn};

use super::asked::Asked;
use super::{Response, Route, answer};
use crate::adoption::AnnouncementFetches;
use crate::publication::Published;
use crate::telemetry::LogThrottle;
use engage_store::{
    Alert, AppendOutcome, AuditBatch, CallInWindow, ConfigUpload, DeviceId, DeviceStore, Health,
    StoreError, UploadKind,
};
use engage_wire::diagnostic::one_line;

pub use caller::Admittance;

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
    pub announcement_fetches: Arc<AnnouncementFetches>,
    /// Which site a request is for.
    pub published: Published,
    /// Failures of the store that have been logged.
    pub failures: LogThrottle,
}

impl CallIn {
    /// Answers a call, and says whose it was.
    pub(super) async fn answer<B>(&self, asked: &Asked, body: B) -> (Option<DeviceId>, Response)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match self.identify(asked).await {
            Ok(device) => (Some(device), self.record(device, asked, body).await),
            Err(refusal) => (None, refusal),
        }
    }

    async fn record<B>(&self, device: DeviceId, asked: &Asked, body: B) -> Response
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match asked.route {
            Route::Config => self.config(device, body).await,
            Route::Audit => self.audit(device, body).await,
            Route::Alert => self.alert(device, body).await,
            Route::Database => self.database(device, asked.parts.uri.path()).await,
            Route::Announcement | Route::Certificate | Route::Unknown => answer::not_found(),
        }
    }

    /// `PUT /swordfish/lock/Config`: 200 without a body, which is what is documented of it.
    async fn config<B>(&self, device: DeviceId, body: B) -> Response
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let received_at = Timestamp::now();
        let read = self.read(device, UploadKind::Config, body, ConfigUpload::parse);
        let stored = match read.await {
            Ok((store, upload)) => store.save_config(device, upload, received_at).await,
            Err(refusal) => return refusal,
        };
        self.answered(device, stored.map(|()| StatusCode::OK))
    }

    /// `POST /swordfish/lock/audit`.
    async fn audit<B>(&self, device: DeviceId, body: B) -> Response
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let received_at = Timestamp::now();
        let read = self.read(device, UploadKind::Audit, body, AuditBatch::parse);
        let stored = match read.await {
            Ok((store, batch)) => store.append_audits(device, batch, received_at).await,
            Err(refusal) => return refusal,
        };
        self.answered(device, stored.map(status))
    }

    /// `POST /swordfish/lock/alert`: the path is inferred (PROTOCOL.md section 4), the answers are
    /// those of an audit.
    async fn alert<B>(&self, device: DeviceId, body: B) -> Response
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let received_at = Timestamp::now();
        let read = self.read(device, UploadKind::Alert, body, Alert::parse);
        let stored = match read.await {
            Ok((store, alert)) => store.append_alert(device, alert, received_at).await,
            Err(refusal) => return refusal,
        };
        self.answered(device, stored.map(status))
    }

    /// `GET /swordfish/lock/db/{timestamp}`.
    async fn database(&self, device: DeviceId, path: &str) -> Response {
        let asked = path.strip_prefix(DATABASES).unwrap_or_default();
        let Ok(asked) = percent_decode_str(asked).decode_utf8() else {
            return answer::bad_request();
        };
        let Some(store) = &self.store else {
            return answer::storage_unavailable();
        };
        let answered = store
            .db_answer(device, &asked, &self.window, Timestamp::now())
            .await;
        match answered {
            Ok(body) => answer::found(answer::JSON, body),
            Err(error) => self.unavailable(device, &error),
        }
    }

    /// Whether what devices deliver can be stored now; `None` where it is not stored at all.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.store.as_ref().map(|store| store.health())
    }

    /// The store and the parsed body, or the answer that refuses it.
    async fn read<B, T, E>(
        &self,
        device: DeviceId,
        call: UploadKind,
        body: B,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<(&dyn DeviceStore, T), Response>
    where
        B: Body<Data = Bytes> + Unpin,
        E: std::error::Error,
    {
        let store = self
            .store
            .as_deref()
            .ok_or_else(answer::storage_unavailable)?;
        let (body, reason) = match body::collect(body, self.body_bytes).await {
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
        call: UploadKind,
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
            Ok(status) => answer::empty(status),
            Err(error) => self.unavailable(device, &error),
        }
    }

    /// 503: nothing is acknowledged, the device keeps what it has.
    fn unavailable(&self, device: DeviceId, error: &StoreError) -> Response {
        if let Some(others) = self.failures.check() {
            error!(
                %device, others = others.count(),
                "nothing of device {device} was stored: {}{others}",
                one_line(error)
            );
        }
        answer::storage_unavailable()
    }
}

/// 201 when the device's record begins, 202 after that.
fn status(acknowledged: AppendOutcome) -> StatusCode {
    match acknowledged {
        AppendOutcome::Created => StatusCode::CREATED,
        AppendOutcome::Updated => StatusCode::ACCEPTED,
    }
}

/// Above the stamp of a database.
pub(super) const DATABASES: &str = "/swordfish/lock/db/";
