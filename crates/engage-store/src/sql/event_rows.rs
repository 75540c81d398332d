//! Rows of events, as they are written and read.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::conditions::Conditions;
use super::devices::device;
use crate::query::EventPosition;
use crate::{DeviceEvent, DeviceId, EventFilter, EventKind, EventPageToken};

/// One that is to be written.
pub(super) struct EventRow {
    pub(super) device: DeviceId,
    pub(super) seq: i64,
    pub(super) kind: EventKind,
    /// In microseconds since 1970, as `filed_at`.
    pub(super) received_at: i64,
    pub(super) filed_at: i64,
    pub(super) code: Option<String>,
    /// As it is stored.
    pub(super) body: String,
}

/// Of events that are called `e`.
pub(super) fn event_conditions(filter: &EventFilter) -> Conditions {
    let EventFilter {
        device,
        kind,
        since,
        until,
        code,
    } = filter;
    let mut conditions = Conditions::default();
    if let Some(device) = device {
        conditions.add("e.device = $", [device.into()]);
    }
    if let Some(kind) = kind {
        // Not bound: the index of alerts is found by it.
        conditions.add(&format!("e.kind = '{}'", kind.as_str()), []);
    }
    if let Some(since) = since {
        let since = since.as_microsecond();
        // Nothing is filed before it is received; the second has an index.
        conditions.add("e.received_at >= $", [since.into()]);
        conditions.add("e.filed_at >= $", [since.into()]);
    }
    if let Some(until) = until {
        conditions.add("e.received_at < $", [until.as_microsecond().into()]);
    }
    if let Some(code) = code {
        conditions.add("e.code = $", [code.into()]);
    }
    conditions
}

pub(super) fn event(row: &AnyRow) -> Result<(DeviceEvent, EventPageToken), sqlx::Error> {
    let event = DeviceEvent {
        device: device(row, "device")?,
        seq: row.try_get("seq")?,
        kind: EventKind::parse(row.try_get("kind")?),
        text: row.try_get("body")?,
    };
    let token = EventPageToken(EventPosition::Filed {
        filed_at: row.try_get("filed_at")?,
        device: event.device,
        seq: event.seq,
    });
    Ok((event, token))
}

/// Of their text, on one page.
pub(super) const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Of one statement.
pub(super) const MAX_ROWS: usize = 64;
