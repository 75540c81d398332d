//! Copies of what the store holds, as files for people and scripts to read.
//!
//! # On disk
//!
//! ```text
//! Engage_Data/
//!   .json-files                  names the directory to the store: 32 hexadecimal digits
//!   0123456789ABCDEF/            a device: its serial number, or addr-10.44.0.7
//!     device.json                what is known of it; some seconds late
//!     config.json                its last upload, byte for byte: may hold Wi-Fi credentials
//!     db.json                    dropped by the integrator; only ever read
//!     audits-2026-11.jsonl       one event a line, by the month (UTC) in which it was filed
//!     alerts-2026-11.jsonl       the same
//!   unknown/                     the same, of lines that were cut off and are not in the store
//! ```
//!
//! Files are 0640 and directories 0750 at most. A line is an event as it is stored
//! ([`StoredEvent`](crate::StoredEvent)).
//!
//! # Neither gap nor double
//!
//! The store has a [`CopyCursor`](cursor::CopyCursor) for each device and directory: the newest event
//! that was written, and how long the files were then. It is committed after the files were made
//! durable, so what it counts is on disk whatever ends the process or the power. What stands behind
//! that length is cut off and written again. A file that is missing or shorter was changed by
//! somebody else: its month is written anew.
//!
//! Durable costs one `syncfs` for all files of a round, not one `fsync` for each. A replaced file
//! that a power cut left empty has a revision that was not committed, and is written again.
//!
//! Before the first file of a device is written its cursor is committed: a folder with files and
//! without a cursor was written by something else, and is left alone.

pub(crate) mod copy;
pub(crate) mod cursor;
pub(crate) mod directory_id;
pub(crate) mod folder;
pub(crate) mod line_reader;
pub(crate) mod month;
pub(crate) mod source;
