//! stub

mod db;
mod event;
mod id;
mod json;
mod mask;
mod record;
mod schedule;
mod serial;
mod stamp;
mod upload;

pub use db::{Database, DbDuplicate, DbError, DbProblem, answer};
pub use event::{DeviceTime, Event, EventCode};
pub use id::{DeviceId, UnknownDeviceId};
pub use mask::masked;
pub use record::{Alert, AuditBatch, BatchId, BodyError};
pub use schedule::{CallInWindow, CallTime, WindowError};
pub use serial::SerialNumber;
pub use stamp::DbTimestamp;
pub use upload::{ConfigUpload, Properties};
