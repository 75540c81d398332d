//! The call-in: what devices deliver each night, and what they are answered (PROTOCOL.md
//! section 4).
//!
//! Bodies are parsed into [`AuditBatch`], [`Alert`] and [`ConfigUpload`]; a [`DeviceStore`] keeps
//! them, and says so only when they are durable; [`FileStore`] is the store over `Engage_Data/`,
//! whose format and guarantees [`files`] describes. [`Database`] is what an integrator dropped for
//! a device, and [`CallInWindow`] says when a device is to call next. [`Credentials`] says who may.

pub mod credentials;
mod db;
mod device;
mod event;
pub mod files;
mod id;
mod json;
mod mask;
mod record;
mod schedule;
mod serial;
mod stamp;
mod store;
mod upload;

pub use credentials::{Credentials, CredentialsError, LineProblem, credential_line};
pub use db::{Database, DbContents, DbDuplicate, DbError, DbProblem, answer};
pub use device::{Dated, DeviceRecord, Note};
pub use event::{DeviceTime, Event, EventCode};
pub use files::{Archive, FileStore, KeepDays, StoredEvent, Tail, Tailed};
pub use id::{DeviceId, UnknownDeviceId};
pub use mask::masked;
pub use record::{Alert, AuditBatch, BatchId, BodyError};
pub use schedule::{CallInWindow, CallTime, WindowError};
pub use serial::SerialNumber;
pub use stamp::DbTimestamp;
pub use store::{Acknowledged, Call, DeviceStore, Health, Log, Pending, StoreError};
pub use upload::{ConfigUpload, Properties};
