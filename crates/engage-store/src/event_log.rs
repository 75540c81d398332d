//! The log of events: what was appended, in order, for whoever passes it on.
//!
//! Order is the order in which the store took events, never that of a clock: a clock that is set
//! back or that was wrong for a moment neither hides an event nor delivers it twice.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{DeviceId, Lease, StoreError};

/// The events of all devices, with a durable cursor for each subscriber and device.
///
/// At least once: a subscriber reads after its cursor, passes on, and commits what was taken. Several
/// hosts may share a log: one at a time has the [`Lease`] of a device.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Makes a subscriber known: from now on `appended` is told of every append, and retention says
    /// which events it removes that this subscriber has not committed.
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices);

    /// The right to pass on the events of a device; `None` while another host has it. A host gets
    /// again what it has not given back.
    async fn acquire(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Option<Lease>, StoreError>;

    /// How far the subscriber is with the device; the beginning if it has committed nothing.
    async fn load_cursor(&self, lease: &Lease) -> Result<Cursor, StoreError>;

    /// The events of the device after `cursor`; `None` if there are none. Only whole batches that
    /// were, or are about to be, acknowledged.
    async fn next_batch(
        &self,
        lease: &Lease,
        cursor: Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError>;

    /// Gives a batch up that the subscriber cannot pass on, durably, and commits its cursor. It can
    /// still be read: [`StoreReader::undelivered`](crate::StoreReader::undelivered).
    ///
    /// Fails with [`StoreError::LeaseLost`] where another host has the lease.
    async fn set_aside(
        &self,
        lease: &Lease,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError>;

    /// Gives the lease back, and remembers durably that everything up to `taken` was taken; `None`
    /// if nothing was. A cursor never goes backwards.
    ///
    /// Fails with [`StoreError::LeaseLost`] where another host has the lease.
    async fn release(&self, lease: Lease, taken: Option<Cursor>) -> Result<(), StoreError>;

    /// The devices that have events after the subscriber's cursor. A device that cannot be read is
    /// logged and left out.
    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError>;
}

/// Who reads the log and has a cursor of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Subscriber {
    /// The delivery to the access-control system.
    Webhook,
}

impl Subscriber {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
        }
    }
}

/// The two kinds of events of a device.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// What it sent when it happened.
    Alerts,
    /// What it delivered at its call-in.
    Audits,
}

impl EventKind {
    pub(crate) const ALL: [Self; 2] = [Self::Audits, Self::Alerts];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// "alerts" or "audits".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Audits => "audits",
        }
    }
}

/// A position in the events of one device; the later one is the greater. Made by a store; the
/// default is the beginning.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor(pub(crate) i64);

/// How much one batch may hold; at least one event is handed over, however long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchLimit {
    /// Events.
    pub events: usize,
    /// Bytes of their text; the event that reaches it is the last.
    pub bytes: usize,
}

/// Events of one kind that follow each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventBatch {
    /// Audits or alerts.
    pub kind: EventKind,
    /// Not empty, in the order in which they were stored.
    pub events: Vec<LoggedEvent>,
    /// To be committed when all of them were taken.
    pub cursor: Cursor,
}

/// An event as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedEvent {
    /// When it arrived, by the clock of that moment.
    pub received_at: Timestamp,
    /// One JSON object, without a newline. `batch` and `line` in it name the event for ever.
    pub text: Vec<u8>,
}

/// A device with events after a subscriber's cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PendingDevice {
    /// The device whose events are undelivered.
    pub device: DeviceId,
    /// When the first of them arrived, by the clock of that moment.
    pub oldest: Timestamp,
}

/// Devices to which something was appended since it was last asked.
///
/// A hint, coalesced by device: whoever loses it finds out with [`EventLog::pending`].
#[derive(Clone, Debug, Default)]
pub struct AppendedDevices(Arc<Appended>);

#[derive(Debug, Default)]
struct Appended {
    devices: Mutex<HashSet<DeviceId>>,
    notify: Notify,
}

impl AppendedDevices {
    /// Adds a device, as the store does after each append.
    pub fn add(&self, device: DeviceId) {
        self.0.devices.lock().insert(device);
        self.0.notify.notify_one();
    }

    /// Those that there are now.
    pub(crate) fn take(&self) -> HashSet<DeviceId> {
        std::mem::take(&mut *self.0.devices.lock())
    }

    /// Waits until there is at least one. For one caller at a time.
    pub async fn next(&self) -> HashSet<DeviceId> {
        loop {
            let devices = self.take();
            if !devices.is_empty() {
                return devices;
            }
            self.0.notify.notified().await;
        }
    }
}
