//! The call-in: what devices deliver each night, and what they are answered (PROTOCOL.md
//! section 4).
//!
//! Bodies are parsed into [`AuditBatch`], [`Alert`] and [`ConfigUpload`]; a [`DeviceStore`] keeps
//! them, and says so only when they are durable; [`FileStore`] is the store over `Engage_Data/`,
//! whose format and guarantees [`files`] describes. [`Database`] is what an integrator dropped for
//! a device, and [`CallInWindow`] says when a device is to call next. [`Credentials`] says who may.

pub mod credentials;
mod db;
mod db_version;
mod device;
mod event;
pub mod files;
mod id;
mod json;
mod record;
mod redact;
mod schedule;
mod serial;
mod store;
mod upload;

pub use credentials::{Credentials, CredentialsError, LineProblem, credential_line};
pub use db::{Database, DbContents, DbDuplicate, DbError, DbProblem, answer};
pub use db_version::DbVersion;
pub use device::{DeviceObservation, DeviceRecord, Timestamped};
pub use event::{DeviceTime, Event, EventCode};
pub use files::{EventFollower, FileStore, FollowItem, KeepDays, StoreReader, StoredEvent};
pub use id::{DeviceId, UnknownDeviceId};
pub use record::{Alert, AuditBatch, BatchId, BodyError};
pub use redact::redact;
pub use schedule::{CallInHours, CallInWindow, CallTime, WindowError, parse_time_zone};
pub use serial::SerialNumber;
pub use store::{AppendOutcome, DeviceStore, EventKind, Health, Pending, StoreError, UploadKind};
pub use upload::{ConfigUpload, Properties};
