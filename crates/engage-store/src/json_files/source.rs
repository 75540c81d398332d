//! Where copies come from.

use super::month::Month;
use crate::{DeviceId, DeviceRecord, EventKind, StoreError};

/// What is known of a device, and events that follow a cursor.
pub(crate) struct DeviceChanges {
    pub(crate) record: DeviceRecord,
    pub(crate) revision: i64,
    pub(crate) events: Vec<FiledEvent>,
    /// Whether no event follows.
    pub(crate) is_last: bool,
}

/// An event, and the month that it belongs to.
pub(crate) struct FiledEvent {
    pub(crate) seq: i64,
    pub(crate) kind: EventKind,
    pub(crate) month: Month,
    /// As it is stored.
    pub(crate) text: String,
}

/// Where copies come from. Blocks.
pub(crate) trait Source {
    /// What follows event `after`; `None` if the device is not known.
    fn page(&self, device: DeviceId, after: i64) -> Result<Option<DeviceChanges>, StoreError>;

    /// The last upload.
    fn config(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first events behind `range.0` and up to `range.1` of one month; empty at the end.
    fn month(
        &self,
        device: DeviceId,
        kind: EventKind,
        month: Month,
        range: (i64, i64),
    ) -> Result<Vec<FiledEvent>, StoreError>;
}
