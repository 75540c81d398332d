//! The call-in: what devices deliver each night, and what they are answered (PROTOCOL.md
//! section 4).
//!
//! Bodies are parsed into [`AuditBatch`], [`Alert`] and [`ConfigUpload`]; a [`DeviceStore`] keeps
//! them, and says so only when they are durable; what it kept is read through its [`EventLog`] and,
//! beside a daemon, through a [`StoreReader`]. [`SqlStore`] is the engine: SQL on SQLite or PostgreSQL.
//! [`Database`] is what an integrator dropped for a device, and [`CallInWindow`] says when a device is to call next. [`Credentials`] says who may.

mod admin_log;
mod adoption;
mod batch_id;
mod body_error;
mod certificate_fetch;
mod clock;
#[cfg(test)]
mod conformance;
pub mod credentials;
mod database_store;
mod db;
mod db_version;
mod device;
mod error;
mod event;
mod event_log;
mod file_identity;
mod handle;
mod id;
mod idempotency;
mod import;
mod json;
mod json_files;
mod keep_days;
mod lease;
mod lenient;
mod mode;
mod notes;
mod owner_lock;
mod query;
mod quota;
mod record;
mod redact;
mod regular;
mod rotation;
mod schedule;
mod serial;
pub mod sql;
mod store;
mod stored_event;
mod strays;
mod subscribers;
mod undelivered;
mod upload;
mod upload_limits;

pub use admin_log::{
    AdminEvent, AdminEventId, AdminEventPage, AdminEventQuery, AdminLog, RecordedAdminEvent,
};
pub use adoption::{
    AddressEvidence, Adopted, Adoption, AdoptionLedger, AdoptionPage, AdoptionQuery, Evidence,
    Seen, Sighting,
};
pub use batch_id::BatchId;
pub use body_error::BodyError;
pub use certificate_fetch::CertificateFetch;
pub use credentials::{Credentials, CredentialsError, LineProblem, credential_line};
pub use database_store::{DatabaseChange, DatabaseFile, DatabaseStore};
pub use db::{
    Database, DbContents, DbDuplicate, DbError, DbProblem, DbWarning, MAX_DB_BYTES, answer,
};
pub use db_version::DbVersion;
pub use device::{DeviceObservation, DeviceRecord, Timestamped};
pub use error::{OpenError, StoreError};
pub use event::{DeviceTime, Event, EventCode};
pub use event_log::{
    AppendedDevices, BatchLimit, Cursor, EventBatch, EventKind, EventLog, LoggedEvent,
    PendingDevice, Subscriber,
};
pub use handle::StoreHandle;
pub use id::{DeviceId, UnknownDeviceId};
pub use idempotency::{
    IdempotencyKey, IdempotencyStore, InvalidIdempotencyKey, MAX_ANSWER_BYTES, RecordedAnswer,
    RequestHash, Reservation,
};
pub use import::{ImportError, ImportNews, Imported};
pub use keep_days::{KeepDays, KeepDaysError};
pub use lease::Lease;
pub use query::{
    BatteryCount, DeviceEvent, DeviceOrder, DevicePage, DevicePageToken, DeviceQuery,
    DeviceSummary, EventFilter, EventOrder, EventPage, EventPageToken, EventQuery, HourlyCallIns,
    InvalidNamePart, InvalidPageToken, InvalidSerialPrefix, NamePart, PageLimit, SerialPrefix,
    SiteDevices,
};
pub use record::{Alert, AuditBatch};
pub use redact::redact;
pub use rotation::{
    AnchorChange, HostRotation, InvalidRotationId, NextAnchors, Overlap, Replaced, Rotation,
    RotationId, RotationReport, RotationStep, RotationStore, StoredRotation,
};
pub use schedule::{CallInHours, CallInWindow, CallTime, WindowError, parse_time_zone};
pub use serial::SerialNumber;
pub use sql::{
    BackupError, DatabaseSource, DatabaseUrl, DatabaseUrlError, DroppedDatabase, EventFollower,
    ExportError, Exported, PostgresUrl, QuarantinedBody, SqlOptions, SqlStore, StoreReader,
    StoreWriter, StoredDatabase, import, take_over,
};
pub use store::{
    AppendOutcome, Call, DeviceStore, Health, SetAside, Store, StoreQueries, StoreSize,
    StoreWarning, UploadKind,
};
pub use stored_event::StoredEvent;
pub use strays::strays;
pub use undelivered::{Undelivered, UndeliveredEvent};
pub use upload::{ConfigUpload, Properties};
