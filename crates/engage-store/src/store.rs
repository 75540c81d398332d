//! The ledger of devices, whatever keeps it.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::files::StoredEvent;
use super::{
    Alert, AuditBatch, CallInWindow, ConfigUpload, Database, DbVersion, DeviceId,
    DeviceObservation, DeviceRecord, answer,
};
use engage_wire::diagnostic::Explain;

/// What a store promises, in time.
///
/// Boxed, so that routes hold an `Arc<dyn DeviceStore>` and are not generic over it: one
/// allocation is nothing beside the write to disk that it waits for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where the call-in is recorded.
///
/// What is acknowledged is durable: it survives the end of the process and of the power.
pub trait DeviceStore: Send + Sync {
    /// Stores a batch of audits, once, however often it arrives.
    fn append_audits(
        &self,
        device: DeviceId,
        batch: AuditBatch,
        received_at: Timestamp,
    ) -> Pending<'_, AppendOutcome>;

    /// Stores an alert, once, however often it arrives.
    fn append_alert(
        &self,
        device: DeviceId,
        alert: Alert,
        received_at: Timestamp,
    ) -> Pending<'_, AppendOutcome>;

    /// Stores an upload in place of the last one.
    fn save_config(
        &self,
        device: DeviceId,
        upload: ConfigUpload,
        received_at: Timestamp,
    ) -> Pending<'_, ()>;

    /// Keeps a body that is refused, because the device will not send it again.
    fn quarantine(
        &self,
        device: DeviceId,
        call: UploadKind,
        body: Bytes,
        received_at: Timestamp,
    ) -> Pending<'_, ()>;

    /// The database that the device is to have: the last good one.
    fn database(&self, device: DeviceId, now: Timestamp) -> Pending<'_, Option<Database>>;

    /// Takes a note of a device. Never waits; a note may be lost with the process, or when there
    /// are too many.
    fn observe(&self, device: DeviceId, note: DeviceObservation, at: Timestamp);

    /// Whether the store can be written, as far as it knows. Costs nothing.
    fn health(&self) -> Health;

    /// Every device, by name.
    fn list(&self) -> Pending<'_, Vec<DeviceRecord>>;

    /// One device.
    fn show(&self, device: DeviceId) -> Pending<'_, Option<DeviceRecord>>;

    /// Events of one device or of all, received at `since` or later, at most `limit` of them.
    fn events(
        &self,
        device: Option<DeviceId>,
        log: EventKind,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Pending<'_, Vec<StoredEvent>>;

    /// The body for `GET /swordfish/lock/db/{timestamp}`, where `asked` is the path's last part.
    fn db_answer<'a>(
        &'a self,
        device: DeviceId,
        asked: &'a str,
        window: &'a CallInWindow,
        now: Timestamp,
    ) -> Pending<'a, Bytes> {
        Box::pin(async move {
            let database = self.database(device, now).await?;
            let next_call = window.next_call(&device, now);
            let body = answer(database.as_ref(), asked, &next_call);
            let stamp = database
                .map(|database| database.version())
                .or_else(|| DbVersion::parse(asked))
                .unwrap_or(DbVersion::NONE)
                .to_string();
            self.observe(
                device,
                DeviceObservation::DatabaseAnswered { stamp, next_call },
                now,
            );
            Ok(body)
        })
    }

    /// Notes that a device fetched the announcement of the certificate with this fingerprint.
    fn observe_announcement(&self, device: DeviceId, fingerprint: &str, at: Timestamp) {
        let fingerprint = fingerprint.to_owned();
        self.observe(
            device,
            DeviceObservation::AnnouncementFetched { fingerprint },
            at,
        );
    }

    /// Notes that a device completed a TLS handshake of this version.
    fn observe_tls(&self, device: DeviceId, version: &str, at: Timestamp) {
        let version = version.to_owned();
        self.observe(device, DeviceObservation::TlsSession { version }, at);
    }
}

/// That a batch is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppendOutcome {
    /// The device's first: 201.
    Created,
    /// Not its first, or one that was stored before: 202.
    Updated,
}

/// The calls that have a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UploadKind {
    /// `POST /swordfish/lock/alert`.
    Alert,
    /// `POST /swordfish/lock/audit`.
    Audit,
    /// `PUT /swordfish/lock/Config`.
    Config,
}

/// The two logs of a device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// What it sent when it happened.
    Alerts,
    /// What it delivered at its call-in.
    Audits,
}

/// Whether the store can be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// As far as is known.
    Writable,
    /// The last write failed, and every attempt since.
    Failing {
        /// Why, for people.
        reason: String,
    },
}

/// Why nothing was stored: 503, and nothing is acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is shutting down.
    #[error("the device store is closed")]
    Closed,
    /// More devices than are kept.
    #[error("device {device} would be one too many; allowed: {allowed} devices")]
    TooManyDevices {
        /// The new one.
        device: DeviceId,
        /// The most that are kept.
        allowed: usize,
    },
    /// Disk full, read-only, permission lost, or broken.
    #[error("failed to store in `{}`", path.display())]
    Unavailable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    pub(super) fn unavailable(path: &std::path::Path, source: io::Error) -> Self {
        Self::Unavailable {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}

impl Explain for StoreError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Closed => "store-closed".into(),
            Self::TooManyDevices { .. } => "too-many-devices".into(),
            Self::Unavailable { .. } => "store-unavailable".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Closed => "the daemon is stopping; the device calls again".into(),
            Self::TooManyDevices { .. } => {
                "remove directories of devices that do not exist; somebody may be inventing serial numbers".into()
            }
            Self::Unavailable { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room on the disk; devices keep their audits until they are acknowledged".into()
                }
                _ => "the user that runs engage-host needs write permission in this directory".into(),
            },
        }
    }
}
