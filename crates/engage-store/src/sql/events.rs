//! Events, by device and in order; and how far subscribers are with them.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::conditions::Conditions;
use super::devices::{device as device_of, moment, readable};
use crate::{
    BatchLimit, Cursor, DeviceId, EventBatch, EventKind, LoggedEvent, PendingDevice, Subscriber,
    Undelivered,
};

/// The events of one kind that follow a cursor.
pub(super) async fn next_batch(
    connection: &mut AnyConnection,
    device: DeviceId,
    cursor: Cursor,
    limit: BatchLimit,
) -> Result<Option<EventBatch>, sqlx::Error> {
    let Cursor(mut seq) = cursor;
    let mut events: Vec<LoggedEvent> = Vec::new();
    let (mut kind, mut bytes) = (None, 0);
    'all: while events.len() < limit.events.max(1) {
        let rows = after(connection, device, seq).await?;
        for row in &rows {
            let found = EventKind::parse(row.try_get("kind")?);
            if kind.is_some_and(|kind| found != Some(kind)) {
                break 'all;
            }
            let event = logged(row)?;
            kind = found;
            bytes += event.text.len();
            events.push(event);
            seq = row.try_get("seq")?;
            if events.len() >= limit.events || bytes >= limit.bytes {
                break 'all;
            }
        }
        if rows.len() < PAGE {
            break;
        }
    }
    Ok(kind.map(|kind| EventBatch {
        kind,
        events,
        cursor: Cursor(seq),
    }))
}

/// Few at a time: an event may be a mebibyte long.
async fn after(
    connection: &mut AnyConnection,
    device: DeviceId,
    seq: i64,
) -> Result<Vec<AnyRow>, sqlx::Error> {
    sqlx::query(
        "SELECT seq, kind, received_at, body FROM events WHERE device = $1 AND seq > $2 \
         ORDER BY seq LIMIT $3",
    )
    .bind(device.to_string())
    .bind(seq)
    .bind(i64::try_from(PAGE).unwrap_or(1))
    .fetch_all(connection)
    .await
}

fn logged(row: &AnyRow) -> Result<LoggedEvent, sqlx::Error> {
    Ok(LoggedEvent {
        received_at: moment(row, "received_at")?.unwrap_or_default(),
        text: row.try_get::<String, _>("body")?.into_bytes(),
    })
}

/// The beginning if it has committed nothing.
pub(super) async fn load_cursor(
    connection: &mut AnyConnection,
    subscriber: Subscriber,
    device: DeviceId,
) -> Result<Cursor, sqlx::Error> {
    let row = sqlx::query("SELECT seq FROM cursors WHERE subscriber = $1 AND device = $2")
        .bind(subscriber.as_str())
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    let seq: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(Cursor(seq.unwrap_or_default()))
}

/// Never backwards.
pub(super) async fn commit_cursor(
    connection: &mut AnyConnection,
    subscriber: Subscriber,
    device: DeviceId,
    Cursor(seq): Cursor,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO cursors (subscriber, device, seq) VALUES ($1, $2, $3) \
         ON CONFLICT (subscriber, device) DO UPDATE SET seq = excluded.seq WHERE cursors.seq < excluded.seq",
    )
    .bind(subscriber.as_str())
    .bind(device.to_string())
    .bind(seq)
    .execute(connection)
    .await
    .map(drop)
}

/// Every device whose newest event is after the subscriber's cursor, with the first such event; and
/// what is wrong with rows that are left out.
pub(super) async fn pending(
    connection: &mut AnyConnection,
    subscriber: Subscriber,
) -> Result<(Vec<PendingDevice>, Vec<String>), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT d.device, e.received_at FROM devices d \
         LEFT JOIN cursors c ON c.device = d.device AND c.subscriber = $1 \
         JOIN events e ON e.device = d.device AND e.seq = \
             (SELECT min(seq) FROM events WHERE device = d.device AND seq > coalesce(c.seq, 0)) \
         WHERE d.last_seq > coalesce(c.seq, 0)",
    )
    .bind(subscriber.as_str())
    .fetch_all(connection)
    .await?;
    let pending = |row: &AnyRow| {
        Ok(PendingDevice {
            device: device_of(row, "device")?,
            oldest: moment(row, "received_at")?.unwrap_or_default(),
        })
    };
    let mut left_out = Vec::new();
    Ok((readable(&rows, &mut left_out, pending)?, left_out))
}

/// Gives a batch up, and commits its cursor.
pub(super) async fn set_aside(
    connection: &mut AnyConnection,
    subscriber: Subscriber,
    device: DeviceId,
    batch: &EventBatch,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let given_up = undelivered(connection, subscriber, Some(device)).await?;
    let mut given_up = given_up
        .into_iter()
        .next()
        .map(|it| it.1)
        .unwrap_or_default();
    given_up.add(batch, reason, Timestamp::now());
    let body =
        serde_json::to_string(&given_up).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(
        "INSERT INTO undelivered (subscriber, device, body) VALUES ($1, $2, $3) \
         ON CONFLICT (subscriber, device) DO UPDATE SET body = excluded.body",
    )
    .bind(subscriber.as_str())
    .bind(device.to_string())
    .bind(body)
    .execute(&mut *connection)
    .await?;
    commit_cursor(connection, subscriber, device, batch.cursor).await
}

/// What a subscriber gave up of a device, or of each of which it did.
pub(super) async fn undelivered(
    connection: &mut AnyConnection,
    subscriber: Subscriber,
    device: Option<DeviceId>,
) -> Result<Vec<(DeviceId, Undelivered)>, sqlx::Error> {
    let mut conditions = Conditions::default();
    conditions.add("subscriber = $", [(&subscriber.as_str()).into()]);
    if let Some(device) = device {
        conditions.add("device = $", [(&device).into()]);
    }
    let columns = format_args!("device, body FROM undelivered");
    let select = conditions.select(columns, "device", usize::MAX);
    let read = |row: &AnyRow| {
        let undelivered = serde_json::from_str(row.try_get("body")?);
        let undelivered = undelivered.map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok((device_of(row, "device")?, undelivered))
    };
    let rows = select.fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

const PAGE: usize = 32;
