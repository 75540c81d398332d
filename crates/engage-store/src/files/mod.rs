//! The ledger of devices as files, for people and scripts to read.
//!
//! # On disk
//!
//! ```text
//! Engage_Data/
//!   .lock                        held by the one process that writes; says its id
//!   0123456789ABCDEF/            a device: its serial number, or addr-10.44.0.7
//!     device.json                what is known of it; a few seconds late
//!     config.json                its last upload, byte for byte: may hold Wi-Fi credentials
//!     db.json                    dropped by the integrator; only ever read
//!     .db-last-good.json         the last db.json that passed its check
//!     audits-2026-11.jsonl       one event a line, by the month (UTC) in which it arrived
//!     alerts-2026-11.jsonl       the same
//!     audits-2026-11.jsonl.417.torn  what a crash left half-written behind byte 417, if ever
//!     .webhook.json              how far its events are delivered
//!   quarantine/                  bodies that were refused: 16 of each device, 4096 in all
//!   .clock                       when records were last examined for their age
//! ```
//!
//! Files are 0640 and directories 0750 at most. A line, wrapped here (see [`StoredEvent`]):
//!
//! ```text
//! {"received_at":"2026-11-23T02:13:05Z","event":"0B040001","time":"20261123021259",
//!  "code":"0B040001","name":"host connected or disconnected","at":"2026-11-23T02:12:59",
//!  "batch":"8f0c..","line":1,"of":3}
//! ```
//!
//! # How it keeps the promises
//!
//! - **Acknowledged is durable.** The lines, and the directory entries that lead to them, are
//!   synchronised before the answer, and the file is looked up once more: one that somebody
//!   removed meanwhile holds nothing. One thread takes all batches that wait, writes them, and
//!   synchronises each file once, side by side.
//! - **Whole batches only.** Each line says how many its batch has. A write that fails is cut back;
//!   what a crash leaves of a batch is set aside at the next start and reported. A batch is bounded,
//!   so more than that is damage, and is left alone. Where cutting back fails too, the device's
//!   files take nothing until that has been repeated with success.
//! - **Once.** A batch is named by a hash over device and events. The names in the last 16 MiB of
//!   the two newest files are known, and so survive a restart and the turn of a month. Of a batch
//!   that begins with the last one, only the rest is stored: its acknowledgement was not heard.
//! - **In order.** Events go to the newest file, also when the clock was set back: the order of
//!   files and lines is that in which events were stored.
//! - **Replaced files** are written beside, synchronised, renamed, and the directory synchronised.
//! - **One owner.** The lock belongs to the directory, not to its name. It is looked at before each
//!   write and again before the answer: where another directory stands there, that is locked first,
//!   and where it is gone or another process has it, nothing is acknowledged.
//! - **A failing disk** acknowledges nothing and turns [`health`](crate::DeviceStore::health); it
//!   is tried every few seconds until it takes a write. What fails for one device's folder only is
//!   a [`warning`](crate::DeviceStore::warnings).
//! - **Bounded.** No file stays open; the queue holds 64 MiB of bodies, the memory of batches a
//!   million names.

mod cursor;
mod database;
mod dedup;
mod device_dirs;
mod disk;
mod event_log;
mod event_reader;
mod follower;
mod health;
mod line;
mod lock;
mod month;
mod quarantine;
mod reader;
mod record_writer;
mod recovery;
mod regular;
mod retention;
mod segment;
mod store;
#[cfg(test)]
mod tests;
mod torn_tail;
mod undelivered;
mod writer;

pub(crate) use disk::{FileIdentity, look_up, mode};
pub(crate) use follower::FileFollower;
pub(crate) use lock::OwnerLock;
pub(crate) use reader::FileReader;
pub use store::FileStore;
