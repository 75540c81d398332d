//! What copies are made from, and how far they are.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::super::devices;
use super::super::statement::{pieces, statement, value_list, value_rows};
use crate::json_files::cursor::CopyCursor;
use crate::json_files::month::Month;
use crate::json_files::source::{DeviceChanges, FiledEvent};
use crate::{DeviceId, EventKind};

/// Some devices, or what there is of them.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    /// Behind which there may be more.
    pub(super) next: Option<String>,
    /// What is wrong with rows that are left out.
    pub(super) left_out: Vec<String>,
}

impl<T> Page<T> {
    fn read(
        rows: &[AnyRow],
        read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
    ) -> Result<Self, sqlx::Error> {
        let mut left_out = Vec::new();
        let last = rows.last().filter(|_| rows.len() >= MAX_DEVICES);
        Ok(Self {
            rows: devices::readable(rows, &mut left_out, read)?,
            next: last.map(|row| row.try_get("device")).transpose()?,
            left_out,
        })
    }
}

/// Devices behind `after`, by name, of which something changed since they were copied.
pub(super) async fn stale(
    connection: &mut AnyConnection,
    subscriber: &str,
    after: &str,
) -> Result<Page<DeviceId>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT d.device FROM devices d \
         LEFT JOIN cursors c ON c.device = d.device AND c.subscriber = $1 \
         WHERE d.device > $2 AND (c.revision IS NULL OR c.revision <> d.revision) \
         ORDER BY d.device LIMIT $3",
    )
    .bind(subscriber.to_owned())
    .bind(after.to_owned())
    .bind(i64::try_from(MAX_DEVICES).unwrap_or(1))
    .fetch_all(connection)
    .await?;
    Page::read(&rows, |row| devices::device(row, "device"))
}

/// The cursors of `devices` that have one.
pub(super) async fn cursors(
    connection: &mut AnyConnection,
    subscriber: &str,
    devices: &[DeviceId],
) -> Result<HashMap<DeviceId, CopyCursor>, sqlx::Error> {
    let mut found = HashMap::new();
    for devices in pieces(devices, 1) {
        let list = value_list(devices.len());
        let mut query = statement(format!(
            "SELECT device, seq, revision, note FROM cursors \
             WHERE device IN ({list}) AND subscriber = ${}",
            devices.len() + 1
        ));
        for device in devices {
            query = query.bind(device.to_string());
        }
        let rows = query.bind(subscriber.to_owned());
        for row in rows.fetch_all(&mut *connection).await? {
            let (device, cursor) = cursor(&row)?;
            found.insert(device, cursor);
        }
    }
    Ok(found)
}

/// The cursors behind a device, by name.
pub(super) async fn cursors_after(
    connection: &mut AnyConnection,
    subscriber: &str,
    after: &str,
) -> Result<Page<(DeviceId, CopyCursor)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT device, seq, revision, note FROM cursors \
         WHERE subscriber = $1 AND device > $2 ORDER BY device LIMIT $3",
    )
    .bind(subscriber.to_owned())
    .bind(after.to_owned())
    .bind(i64::try_from(MAX_DEVICES).unwrap_or(1))
    .fetch_all(connection)
    .await?;
    Page::read(&rows, cursor)
}

/// A cursor whose lengths cannot be read begins anew: the folder is ours all the same.
fn cursor(row: &AnyRow) -> Result<(DeviceId, CopyCursor), sqlx::Error> {
    let note: Option<String> = row.try_get("note").unwrap_or_default();
    let lengths = note.and_then(|note| serde_json::from_str(&note).ok());
    let cursor = match lengths {
        Some(lengths) => CopyCursor {
            seq: row.try_get("seq")?,
            revision: row.try_get("revision")?,
            lengths,
        },
        None => CopyCursor::beginning(),
    };
    Ok((devices::device(row, "device")?, cursor))
}

pub(in super::super) async fn commit(
    connection: &mut AnyConnection,
    subscriber: &str,
    cursors: &[(DeviceId, CopyCursor)],
) -> Result<(), sqlx::Error> {
    for cursors in pieces(cursors, 5) {
        let values = value_rows(cursors.len(), 5);
        let mut query = statement(format!(
            "INSERT INTO cursors (subscriber, device, seq, revision, note) VALUES {values} \
             ON CONFLICT (subscriber, device) DO UPDATE SET \
             seq = excluded.seq, revision = excluded.revision, note = excluded.note"
        ));
        for (device, cursor) in cursors {
            let note = serde_json::to_string(&cursor.lengths)
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            query = query.bind(subscriber.to_owned()).bind(device.to_string());
            query = query.bind(cursor.seq).bind(cursor.revision).bind(note);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn forget(
    connection: &mut AnyConnection,
    subscriber: &str,
    devices: &[DeviceId],
) -> Result<(), sqlx::Error> {
    for device in devices {
        sqlx::query("DELETE FROM cursors WHERE subscriber = $1 AND device = $2")
            .bind(subscriber.to_owned())
            .bind(device.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// When retention was applied last, in microseconds since 1970.
pub(super) async fn retained_at(
    connection: &mut AnyConnection,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query("SELECT at FROM moments WHERE name = 'retention'");
    let row = row.fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}

pub(in super::super) async fn page(
    connection: &mut AnyConnection,
    device: DeviceId,
    after: i64,
) -> Result<Option<DeviceChanges>, sqlx::Error> {
    let row = sqlx::query("SELECT revision FROM devices WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    // Before the record: what changes in between is copied again.
    let revision = row.map(|row| row.try_get(0)).transpose()?;
    let record = devices::record(&mut *connection, device).await?;
    let Some((revision, record)) = revision.zip(record) else {
        return Ok(None);
    };
    let mut page = DeviceChanges {
        record,
        revision,
        events: Vec::new(),
        is_last: false,
    };
    let (mut after, mut bytes) = (after, 0);
    while page.events.len() < PAGE_EVENTS && bytes < PAGE_BYTES {
        let rows = sqlx::query(
            "SELECT seq, kind, filed_at, body FROM events WHERE device = $1 AND seq > $2 \
             ORDER BY seq LIMIT $3",
        )
        .bind(device.to_string())
        .bind(after)
        .bind(FEW)
        .fetch_all(&mut *connection)
        .await?;
        page.is_last = rows.len() < usize::try_from(FEW).unwrap_or(0);
        for row in &rows {
            let event = filed(row)?;
            after = event.seq;
            bytes += event.text.len();
            page.events.push(event);
        }
        if page.is_last {
            break;
        }
    }
    Ok(Some(page))
}

pub(in super::super) async fn month(
    connection: &mut AnyConnection,
    device: DeviceId,
    kind: EventKind,
    month: Month,
    (after, to): (i64, i64),
) -> Result<Vec<FiledEvent>, sqlx::Error> {
    let micros = month.micros();
    let rows = sqlx::query(
        "SELECT seq, kind, filed_at, body FROM events WHERE device = $1 AND seq > $2 \
         AND seq <= $3 AND kind = $4 AND filed_at >= $5 AND filed_at < $6 ORDER BY seq LIMIT $7",
    )
    .bind(device.to_string())
    .bind(after)
    .bind(to)
    .bind(kind.as_str())
    .bind(micros.start)
    .bind(micros.end)
    .bind(FEW)
    .fetch_all(connection)
    .await?;
    rows.iter().map(filed).collect()
}

fn filed(row: &AnyRow) -> Result<FiledEvent, sqlx::Error> {
    let kind = EventKind::parse(row.try_get("kind")?);
    Ok(FiledEvent {
        seq: row.try_get("seq")?,
        kind: kind.ok_or_else(|| sqlx::Error::Decode("neither audits nor alerts".into()))?,
        month: Month::from_micros(row.try_get("filed_at")?),
        text: row.try_get("body")?,
    })
}

pub(in super::super) async fn config(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let row = sqlx::query("SELECT body FROM configs WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Few at a time: an event may be a mebibyte long.
const FEW: i64 = 32;

const PAGE_EVENTS: usize = 1024;

const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Of one look; whoever gets as many asks for more.
const MAX_DEVICES: usize = 4096;
