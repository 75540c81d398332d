//! The read side: works beside a daemon that writes, and without one.

use std::fmt;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::files::{FileFollower, FileReader};
use crate::sql::{SqlFollower, SqlReader};
use crate::{
    DeviceId, DeviceRecord, EventKind, OpenError, SqlOptions, StoreWarning, StoredEvent,
    Subscriber, Undelivered,
};

/// What a store has recorded, to be read by anybody who may. Blocks: not for asynchronous tasks.
#[derive(Debug)]
pub struct StoreReader(Source);

#[derive(Debug)]
enum Source {
    Files(FileReader),
    Sql(SqlReader),
}

impl StoreReader {
    /// Reads what is stored in `[devices] directory`, which need not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self(Source::Files(FileReader::new(directory)))
    }

    /// Reads a database.
    pub fn sql(options: &SqlOptions) -> Result<Self, OpenError> {
        SqlReader::open(options).map(Source::Sql).map(Self)
    }

    /// The devices that have records, by name.
    pub fn devices(&self) -> io::Result<Vec<DeviceId>> {
        match &self.0 {
            Source::Files(files) => files.devices(),
            Source::Sql(sql) => sql.devices(),
        }
    }

    /// Whether there are records of a device.
    pub fn has_device(&self, device: DeviceId) -> io::Result<bool> {
        match &self.0 {
            Source::Files(files) => Ok(files.has_device(device)),
            Source::Sql(sql) => Ok(sql.record(device)?.is_some()),
        }
    }

    /// What is known of a device.
    pub fn record(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        match &self.0 {
            Source::Files(files) => files.record(device),
            Source::Sql(sql) => sql.record(device),
        }
    }

    /// A device's last upload, with secret values replaced.
    pub fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        match &self.0 {
            Source::Files(files) => files.redacted_config(device),
            Source::Sql(sql) => sql.redacted_config(device),
        }
    }

    /// The events that a filter lets through, now and later.
    pub fn follow(&self, filter: EventFilter) -> EventFollower<'_> {
        EventFollower(match &self.0 {
            Source::Files(files) => Follower::Files(files.follow(filter)),
            Source::Sql(sql) => Follower::Sql(sql.follow(filter)),
        })
    }

    /// The events of a device that a subscriber gave up.
    pub fn undelivered(&self, subscriber: Subscriber, device: DeviceId) -> io::Result<Undelivered> {
        match &self.0 {
            Source::Files(files) => files.undelivered(subscriber, device),
            Source::Sql(sql) => sql.undelivered(subscriber, device),
        }
    }

    /// Folders that look like a device's and are not read.
    pub fn warnings(&self) -> io::Result<Vec<StoreWarning>> {
        match &self.0 {
            Source::Files(files) => files.warnings(),
            Source::Sql(_) => Ok(Vec::new()),
        }
    }
}

/// Reads the events of one device or of all, and each time what was added since the last.
#[derive(Debug)]
pub struct EventFollower<'a>(Follower<'a>);

#[derive(Debug)]
enum Follower<'a> {
    Files(FileFollower),
    Sql(SqlFollower<'a>),
}

impl EventFollower<'_> {
    /// Hands over what has not been read yet: by device, and in the order in which it was stored.
    ///
    /// An error of `found` ends it and comes back.
    pub fn read(
        &mut self,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match &mut self.0 {
            Follower::Files(files) => files.read(found),
            Follower::Sql(sql) => sql.read(found),
        }
    }
}

/// Which events are followed.
#[derive(Clone, Copy, Debug)]
pub struct EventFilter {
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// Audits or alerts.
    pub kind: EventKind,
    /// Received at this moment or later.
    pub since: Option<Timestamp>,
}

/// What was found.
#[derive(Debug)]
pub enum FollowItem<'a> {
    /// Something that is no event. Passed over.
    Broken {
        /// "line 3 of `..`".
        place: fmt::Arguments<'a>,
    },
    /// An event.
    Event {
        /// Whose.
        device: DeviceId,
        /// What it says.
        event: &'a StoredEvent,
        /// As it is stored, a JSON object.
        text: &'a str,
    },
    /// The newest event is not complete: it is being written, or a crash tore it.
    Unfinished {
        /// "the last line of `..`".
        place: fmt::Arguments<'a>,
    },
    /// Events that cannot be read. The others follow.
    Unreadable {
        /// Whose.
        device: DeviceId,
        /// The reason, with the place.
        error: &'a io::Error,
    },
}
