//! What a store of devices promises, whatever engine keeps it.

use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AdminLog, AdoptionLedger, Alert, AuditBatch, CallInWindow, CertificateFetch, ConfigUpload,
    Database, DatabaseStore, DbVersion, DeviceId, DeviceObservation, DevicePage, DeviceQuery,
    DeviceRecord, DeviceSummary, EventLog, EventPage, EventPageToken, EventQuery, HourlyCallIns,
    IdempotencyStore, RotationStore, StoreError, answer,
};

/// Where the call-in is recorded.
///
/// What is acknowledged is durable: it survives the end of the process and of the power. What
/// fails for one device fails for that device only.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Stores a batch of audits, once, however often it arrives.
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError>;

    /// Stores an alert, once, however often it arrives.
    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError>;

    /// Stores an upload in place of the last one.
    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError>;

    /// Keeps a body that is refused, because the device will not send it again. Each device has
    /// its own share of the room; what is dropped for it is logged.
    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError>;

    /// The database that the device is to have: the last good one.
    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError>;

    /// Records what was seen of a device. Never waits; an observation may be lost with the
    /// process, or when there are too many. One of a device that never delivered anything makes no
    /// record.
    fn observe(&self, device: DeviceId, observation: DeviceObservation, at: Timestamp);

    /// Records that a certificate was fetched whole. It is credited to the device that calls in under
    /// the fetcher's name, at whichever host. Never waits; a fetch may be lost with the process, and
    /// the oldest are lost when there are too many.
    fn fetched(&self, fetch: CertificateFetch);

    /// The last TLS session of the devices that called in from an address, where other hosts may have
    /// had it; a host that is alone knows of each itself.
    async fn last_tls_session(&self, address: IpAddr) -> Result<Option<Timestamp>, StoreError>;

    /// Whether the store can be written, as far as it knows. Costs nothing.
    fn health(&self) -> Health;

    /// Devices of which nothing was proven and that have made room for others, since it was opened.
    fn evicted_devices(&self) -> u64;

    /// How much of the disk it takes, where that is bounded. Costs nothing.
    fn size(&self) -> Option<StoreSize>;

    /// What is wrong although the store can be written: single devices, and room that runs out.
    fn warnings(&self) -> Vec<StoreWarning>;

    /// The body for `GET /swordfish/lock/db/{timestamp}`, where `asked` is the path's last part.
    async fn db_answer(
        &self,
        call: &Call,
        asked: &str,
        window: &CallInWindow,
    ) -> Result<Bytes, StoreError> {
        let Call {
            device,
            received_at: now,
            ..
        } = *call;
        let database = self.database(device, now).await?;
        let next_call = window.next_call(&device, now);
        let body = answer(database.as_ref(), asked, &next_call);
        let version = database
            .map(|database| database.version())
            .or_else(|| DbVersion::parse(asked))
            .unwrap_or(DbVersion::NONE)
            .to_string();
        let answered = DeviceObservation::DatabaseAnswered { version, next_call };
        self.observe(device, answered, now);
        Ok(body)
    }
}

/// What a store has recorded, page by page.
#[async_trait]
pub trait StoreQueries: Send + Sync {
    /// The devices that a query asks for.
    async fn devices(&self, query: &DeviceQuery) -> Result<DevicePage, StoreError>;

    /// The events that a query asks for.
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StoreError>;

    /// What is known of a device.
    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError>;

    /// When a device uploaded its parameters last, and the upload with secret values replaced
    /// ([`redact`](crate::redact())).
    async fn config_upload(
        &self,
        device: DeviceId,
    ) -> Result<Option<(Timestamp, String)>, StoreError>;

    /// How much of what a device sent went no further.
    async fn set_aside_of(&self, device: DeviceId) -> Result<SetAside, StoreError>;

    /// Where who only wants what comes from now on begins, with
    /// [`EventOrder::OldestFirst`](crate::EventOrder::OldestFirst) of all devices.
    async fn events_end(&self) -> Result<EventPageToken, StoreError>;

    /// All devices, counted, and those that called at this moment or later.
    async fn summary(&self, since: Timestamp) -> Result<DeviceSummary, StoreError>;

    /// The hours of the last eight days that begin at this moment or later and in which devices
    /// called, by hour.
    async fn call_ins_by_hour(&self, since: Timestamp) -> Result<Vec<HourlyCallIns>, StoreError>;
}

/// How much of what a device sent went no further.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct SetAside {
    /// Events that the webhook gave up, those included that are not named any more.
    pub undelivered: u64,
    /// Bodies that were refused and are kept.
    pub quarantined: u64,
}

/// A store with its log of events: what the daemon holds.
pub trait Store:
    DeviceStore
    + EventLog
    + StoreQueries
    + RotationStore
    + AdoptionLedger
    + DatabaseStore
    + AdminLog
    + IdempotencyStore
{
}

impl<S> Store for S where
    S: DeviceStore
        + EventLog
        + StoreQueries
        + RotationStore
        + AdoptionLedger
        + DatabaseStore
        + AdminLog
        + IdempotencyStore
{
}

/// One call of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// Who calls.
    pub device: DeviceId,
    /// From where.
    pub peer: IpAddr,
    /// Whether it gave its credentials.
    pub is_authenticated: bool,
    /// Whether its serial number is listed in the configuration.
    pub is_listed: bool,
    /// By this host's clock.
    pub received_at: Timestamp,
}

impl Call {
    /// Whether somebody has entered the device here. Who is not registered may be anybody, and is
    /// limited.
    pub fn is_registered(&self) -> bool {
        self.is_authenticated || self.is_listed
    }
}

/// What became of a batch, all of whose events are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppendOutcome {
    /// The device's first: 201.
    Created,
    /// Nothing was stored: it holds no event, or was stored before. 202.
    Unchanged,
    /// Not its first: 202.
    Updated,
}

/// The calls that have a body.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadKind {
    /// `POST /swordfish/lock/alert`.
    Alert,
    /// `POST /swordfish/lock/audit`.
    Audit,
    /// `PUT /swordfish/lock/Config`.
    Config,
}

impl UploadKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Alert, Self::Audit, Self::Config];
        all.into_iter().find(|kind| kind.as_str() == text)
    }

    /// "alert", "audit" or "config".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Audit => "audit",
            Self::Config => "config",
        }
    }
}

/// Whether the store can be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// The last write failed, and every attempt since.
    Failing {
        /// Why, for people.
        reason: String,
    },
    /// Not open yet: call-ins are answered 503.
    Opening,
    /// As far as is known.
    Writable,
}

/// How much of the disk a store takes, as it was measured last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreSize {
    /// What it takes.
    pub bytes: u64,
    /// What it may take.
    pub allowed: u64,
}

impl StoreSize {
    /// What it may take of devices that are not registered: the last tenth is not for who may be
    /// anybody.
    pub(crate) fn allowed_for_unregistered(self) -> u64 {
        self.allowed - self.allowed / 10
    }

    /// Whether only registered devices find room.
    pub fn is_for_registered_only(self) -> bool {
        self.bytes >= self.allowed_for_unregistered()
    }
}

/// What people should know of a store that works.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreWarning {
    /// One device's records cannot be read or written.
    #[error("records of device {device}: {reason}")]
    Device {
        /// The device of those records.
        device: DeviceId,
        /// Why, for people.
        reason: String,
    },
    /// So many devices are impaired that not all are named.
    #[error("records of {count} more devices cannot be read or written")]
    MoreDevices {
        /// Those that are not named.
        count: usize,
    },
    /// Only registered devices find room.
    #[error("{0}")]
    LittleRoom(String),
    /// Another program keeps SQLite's log from being emptied.
    #[error(
        "the database's log `{}` has {mebibytes} MiB; allowed: {allowed} MiB: another program has been reading the database for long; end it, such as what `fuser {}` names", path.display(), path.display()
    )]
    LongLog {
        /// The path of the write-ahead log.
        path: PathBuf,
        /// Its length.
        mebibytes: u64,
        /// From where on it is told.
        allowed: u64,
    },
    /// Soon, or already, unknown devices are answered 503.
    #[error(
        "{devices} devices are known; allowed: {allowed}, of which {reserved} are kept for registered ones"
    )]
    NearlyFull {
        /// Devices with records.
        devices: usize,
        /// The most that there can be.
        allowed: usize,
        /// Only for devices that are registered.
        reserved: usize,
    },
    /// Something in the store that belongs to no device.
    #[error("{0}")]
    Stray(String),
}
