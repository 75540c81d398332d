//! Which events are read, and what is found.

use std::fmt;

use jiff::Timestamp;

use crate::{DeviceId, EventKind, StoredEvent};

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
        /// "event 3 of device ..".
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
}
