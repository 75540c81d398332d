//! The store of devices in a database: a SQLite file, or a PostgreSQL server that several hosts
//! share. The SQL is the same; `schema` has the tables.
//!
//! # How it keeps the promises
//!
//! - **Acknowledged is durable.** The answer comes after the commit: SQLite with a write-ahead log
//!   and `synchronous = FULL`, PostgreSQL with `synchronous_commit = on`. A SQLite file that was
//!   removed meanwhile holds nothing, so its name is looked up once more.
//! - **Group commit.** One writer takes all uploads that wait and stores them in one transaction.
//!   It is all or none of them, unless the database refuses a value: then each is stored alone.
//! - **Once.** A batch is named by a hash over device and events, and the names are kept as long as
//!   events are. Of a batch that begins with the last one, only the rest is stored: its
//!   acknowledgement was not heard.
//! - **In order.** Events of a device are numbered while its row is locked: whoever reads to the
//!   end has seen everything before it, whichever host wrote, whatever any clock says.
//! - **One host at a time** delivers a device or removes old events, by a lease; `hosts` says how.
//! - **Every wait ends.** Statements, connections and transactions have time-outs; a full queue
//!   refuses at once.

mod address;
mod admin_log;
mod admission;
mod adoption;
mod append;
mod appended;
mod backup;
mod call_ins;
mod catch_panic;
mod certificate_fetches;
mod check;
mod conditions;
mod connect;
mod copies;
mod counters;
mod damage;
mod database;
mod database_store;
mod device_count;
mod device_keys;
mod device_pages;
mod device_store;
mod devices;
mod engine;
mod error;
mod event_log;
mod event_rows;
mod events;
mod eviction;
mod export;
mod follower;
mod health;
mod hosts;
mod hour;
mod idempotency;
mod import;
mod json_files;
#[cfg(test)]
mod malformed_rows;
mod newest;
mod observations;
mod options;
mod pages;
mod quarantine;
mod reader;
mod retention;
mod rotation;
mod rotation_reports;
mod schema;
mod shared;
mod size;
mod statement;
mod store;
mod store_queries;
mod store_writer;
mod summary;
mod tasks;
#[cfg(test)]
mod tests;
mod transaction;
mod write_ahead_log;
mod writer;

pub use address::{DatabaseUrl, DatabaseUrlError, PostgresUrl};
pub use backup::BackupError;
pub use database::{DatabaseSource, DroppedDatabase, StoredDatabase};
pub use export::{ExportError, Exported};
pub use follower::EventFollower;
pub use import::{import, take_over};
pub use options::SqlOptions;
pub use quarantine::QuarantinedBody;
pub use reader::StoreReader;
pub use store::SqlStore;
pub use store_writer::StoreWriter;
