//! What is asked of a store, and the pages that it answers with.
//!
//! A page ends with the key of its last row, and the next one begins behind that key: a row that is
//! added meanwhile moves no other, and none comes twice.

mod device_order;
mod name_part;
mod page_token;
mod serial_prefix;
mod summary;

use std::num::NonZeroU16;

use engage_wire::pki::Fingerprint;
use jiff::Timestamp;

use crate::{DeviceId, DeviceRecord, EventCode, EventKind, StoredEvent};

pub use device_order::DeviceOrder;
pub(crate) use name_part::name_key;
pub use name_part::{InvalidNamePart, NamePart};
pub(crate) use page_token::{DeviceKey, EventPosition};
pub use page_token::{DevicePageToken, EventPageToken, InvalidPageToken};
pub use serial_prefix::{InvalidSerialPrefix, SerialPrefix};
pub use summary::{BatteryCount, DeviceSummary, HourlyCallIns, SiteDevices};

/// Which devices are asked for: those that meet all conditions.
#[derive(Clone, Debug, Default)]
pub struct DeviceQuery {
    /// How the serial number begins.
    pub serial: Option<SerialPrefix>,
    /// What the name of its door contains.
    pub name: Option<NamePart>,
    /// What the name of its door contains, or how its serial number begins.
    pub search: Option<NamePart>,
    /// The name of its site, to the letter.
    pub site: Option<String>,
    /// Its model, to the letter.
    pub model: Option<String>,
    /// The certificate that it fetched last.
    pub certificate: Option<Fingerprint>,
    /// It called at this moment or later.
    pub seen_since: Option<Timestamp>,
    /// It has not called since.
    pub not_seen_since: Option<Timestamp>,
    /// Which come first.
    pub order: DeviceOrder,
    /// Behind this page; the first one otherwise.
    pub after: Option<DevicePageToken>,
    /// How many on one page.
    pub limit: PageLimit,
}

/// Some devices, and where the others are.
#[derive(Clone, Debug)]
pub struct DevicePage {
    /// In the order that was asked for.
    pub devices: Vec<DeviceRecord>,
    /// For the next page, if there is more.
    pub next: Option<DevicePageToken>,
    /// What is wrong with rows among them that are left out: somebody changed them.
    pub left_out: Vec<String>,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// What they have in common.
    pub filter: EventFilter,
    /// Which come first.
    pub order: EventOrder,
    /// Behind this page; the first one otherwise.
    pub after: Option<EventPageToken>,
    /// How many on one page; long ones are fewer.
    pub limit: PageLimit,
}

/// What events have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter {
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// Audits or alerts; both otherwise.
    pub kind: Option<EventKind>,
    /// Received at this moment or later.
    pub since: Option<Timestamp>,
    /// Received before this moment.
    pub until: Option<Timestamp>,
    /// With this code.
    pub code: Option<EventCode>,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EventOrder {
    /// Device by device; of each in the order in which they were stored.
    #[default]
    ByDevice,
    /// The newest of all devices; of each in the order opposite to that in which they were stored.
    NewestFirst,
    /// In the order in which they were stored, of all devices and by all hosts: what is stored later
    /// comes later. Who goes on from [`EventPage::end`] misses nothing and gets nothing twice.
    OldestFirst,
}

impl DeviceQuery {
    /// Whether the page token is of this order.
    pub fn check_token(&self) -> Result<(), InvalidPageToken> {
        let after = self.after.as_ref();
        let is_own = after.is_none_or(|token| token.order() == self.order);
        is_own.then_some(()).ok_or(InvalidPageToken)
    }
}

impl EventQuery {
    /// Whether the page token is of this order, and of this device where only one is asked for.
    pub fn check_token(&self) -> Result<(), InvalidPageToken> {
        let is_own = match self.after.as_ref().map(EventPageToken::position) {
            None => true,
            Some(EventPosition::Appended { .. }) => self.is_of_all_oldest_first(),
            Some(EventPosition::Filed { device, .. }) => {
                let is_of_device = self.filter.device.is_none_or(|asked| asked == device);
                is_of_device && !self.is_of_all_oldest_first()
            }
        };
        is_own.then_some(()).ok_or(InvalidPageToken)
    }

    /// The order of one device is that of its numbers.
    pub(crate) fn is_of_all_oldest_first(&self) -> bool {
        self.order == EventOrder::OldestFirst && self.filter.device.is_none()
    }
}

/// Some events, and where the others are.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// In the order that was asked for.
    pub events: Vec<DeviceEvent>,
    /// For the next page, if there is more. With [`EventOrder::OldestFirst`] a page that others follow
    /// may be empty: so many were looked at, of which the filter let none through.
    pub next: Option<EventPageToken>,
    /// With [`EventOrder::OldestFirst`], where who comes back later goes on: behind all that was looked
    /// at, whether or not there was anything.
    pub end: Option<EventPageToken>,
    /// What is wrong with rows among them that are left out: somebody changed them.
    pub left_out: Vec<String>,
}

/// An event as it is stored, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceEvent {
    /// The device that delivered it.
    pub device: DeviceId,
    /// Its number among the device's events, from 1.
    pub seq: i64,
    /// Audits or alerts; `None` where somebody has changed that.
    pub kind: Option<EventKind>,
    /// One JSON object.
    pub text: String,
}

impl DeviceEvent {
    /// What it says; fails where somebody has changed it in the database.
    pub fn parse(&self) -> serde_json::Result<StoredEvent> {
        serde_json::from_str(&self.text)
    }
}

/// Rows of one page: 1 to 1000.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageLimit(NonZeroU16);

impl PageLimit {
    /// The most that there can be.
    pub const MAX: Self = Self(NonZeroU16::new(1000).expect("1000 is not zero"));

    /// `rows`, or the most there can be; at least one.
    pub fn clamped(rows: u64) -> Self {
        let rows = rows.clamp(1, Self::MAX.rows() as u64);
        let rows = u16::try_from(rows).ok().and_then(NonZeroU16::new);
        rows.map_or(Self::MAX, Self)
    }

    pub(crate) const fn rows(self) -> usize {
        self.0.get() as usize
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self::MAX
    }
}
