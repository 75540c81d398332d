//! Pages of events, by key: the next one begins behind the last row of the one before.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::appended;
use super::devices::{device, readable};
use super::event_rows::{MAX_PAGE_BYTES, MAX_ROWS, event, event_conditions};
use crate::query::EventPosition;
use crate::{DeviceId, EventOrder, EventPage, EventPageToken, EventQuery};

/// The events that a query asks for.
pub(super) async fn events(
    connection: &mut AnyConnection,
    query: &EventQuery,
) -> Result<EventPage, sqlx::Error> {
    if query.is_of_all_oldest_first() {
        return appended::events(connection, query).await;
    }
    let limit = query.limit.rows();
    let mut page = EventPage {
        events: Vec::new(),
        next: query.after.clone(),
        end: None,
        left_out: Vec::new(),
    };
    let mut bytes = 0;
    let mut after = query.after.as_ref().and_then(EventKey::from_token);
    let mut is_end = false;
    while page.events.len() < limit && bytes < MAX_PAGE_BYTES {
        let wanted = MAX_ROWS.min(limit - page.events.len());
        let rows = some_events(connection, query, after.as_ref(), wanted).await?;
        for (event, token) in readable(&rows, &mut page.left_out, event)? {
            bytes += event.text.len();
            page.next = Some(token);
            page.events.push(event);
        }
        is_end = rows.len() < wanted;
        if is_end {
            break;
        }
        after = rows.last().map(EventKey::read).transpose()?;
    }
    page.end = end_of_device(query, page.next.as_ref());
    if is_end
        || some_events(connection, query, after.as_ref(), 1)
            .await?
            .is_empty()
    {
        page.next = None;
    }
    Ok(page)
}

/// Where who follows one device goes on.
fn end_of_device(query: &EventQuery, last: Option<&EventPageToken>) -> Option<EventPageToken> {
    let device = query.filter.device?;
    let beginning = EventPageToken(EventPosition::Filed {
        filed_at: 0,
        device,
        seq: 0,
    });
    let is_followed = query.order == EventOrder::OldestFirst;
    is_followed.then(|| last.cloned().unwrap_or(beginning))
}

/// Where a row is, whether or not the rest of it can be read.
struct EventKey {
    filed_at: i64,
    device: String,
    seq: i64,
}

impl EventKey {
    fn from_token(token: &EventPageToken) -> Option<Self> {
        match token.position() {
            EventPosition::Filed {
                filed_at,
                device,
                seq,
            } => Some(Self {
                filed_at,
                device: device.to_string(),
                seq,
            }),
            EventPosition::Appended { .. } => None,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            filed_at: row.try_get("filed_at")?,
            device: row.try_get("device")?,
            seq: row.try_get("seq")?,
        })
    }
}

/// Few at a time: an event may be a mebibyte long.
async fn some_events(
    connection: &mut AnyConnection,
    query: &EventQuery,
    after: Option<&EventKey>,
    rows: usize,
) -> Result<Vec<AnyRow>, sqlx::Error> {
    let device = query.filter.device;
    let mut conditions = event_conditions(&query.filter);
    if let Some(EventKey {
        filed_at,
        device: last,
        seq,
    }) = after
    {
        let (filed_at, last, seq) = ((*filed_at).into(), last.into(), (*seq).into());
        match (device, query.order) {
            (Some(_), EventOrder::ByDevice | EventOrder::OldestFirst) => {
                conditions.add("seq > $", [seq]);
            }
            (Some(_), EventOrder::NewestFirst) => conditions.add("seq < $", [seq]),
            (None, EventOrder::ByDevice | EventOrder::OldestFirst) => {
                conditions.add("(device, seq) > ($, $)", [last, seq]);
            }
            (None, EventOrder::NewestFirst) => {
                conditions.add("(filed_at, device, seq) < ($, $, $)", [filed_at, last, seq]);
            }
        }
    }
    let order = match (device, query.order) {
        (_, EventOrder::ByDevice | EventOrder::OldestFirst) => "device, seq",
        (Some(_), EventOrder::NewestFirst) => "seq DESC",
        (None, EventOrder::NewestFirst) => "filed_at DESC, device DESC, seq DESC",
    };
    let columns = format_args!("device, seq, kind, filed_at, body FROM events e");
    let select = conditions.select(columns, order, rows);
    select.fetch_all(connection).await
}

/// The sum of all devices' newest numbers: each event adds one, so it tells whether there is a new
/// one. In halves of 32 bits, which no number of devices makes too large.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct SumOfNewest {
    high: i64,
    low: i64,
}

impl FromIterator<i64> for SumOfNewest {
    fn from_iter<T: IntoIterator<Item = i64>>(newest: T) -> Self {
        let mut sum = Self::default();
        for newest in newest {
            sum.high += newest / (1 << 32);
            sum.low += newest % (1 << 32);
        }
        sum
    }
}

pub(super) async fn sum_of_newest(
    connection: &mut AnyConnection,
) -> Result<SumOfNewest, sqlx::Error> {
    let sum = sqlx::query(
        "SELECT CAST(coalesce(sum(last_seq / 4294967296), 0) AS BIGINT), \
         CAST(coalesce(sum(last_seq % 4294967296), 0) AS BIGINT) FROM devices",
    );
    let row = sum.fetch_one(connection).await?;
    Ok(SumOfNewest {
        high: row.try_get(0)?,
        low: row.try_get(1)?,
    })
}

/// The number of each device's newest event, by device.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) devices: Vec<(DeviceId, i64)>,
    /// Of all rows.
    pub(super) sum: SumOfNewest,
    /// What is wrong with those that are not there.
    pub(super) left_out: Vec<String>,
}

pub(super) async fn newest(connection: &mut AnyConnection) -> Result<Newest, sqlx::Error> {
    let newest = sqlx::query("SELECT device, last_seq FROM devices ORDER BY device");
    let rows = newest.fetch_all(connection).await?;
    let mut left_out = Vec::new();
    Ok(Newest {
        devices: readable(&rows, &mut left_out, numbered)?,
        sum: rows.iter().filter_map(|row| row.try_get(1).ok()).collect(),
        left_out,
    })
}

/// Of each device that has events since, the number before the first of them.
pub(super) async fn before_first_since(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<Vec<(DeviceId, i64)>, sqlx::Error> {
    // Apart, or SQLite reads all events by device, to have them in groups.
    let first = sqlx::query(
        "WITH later AS MATERIALIZED (SELECT device, seq FROM events WHERE filed_at >= $1) \
         SELECT device, min(seq) - 1 FROM later GROUP BY device",
    );
    let rows = first.bind(since.as_microsecond()).fetch_all(connection);
    // Rows of no device are told by `newest`.
    readable(&rows.await?, &mut Vec::new(), numbered)
}

fn numbered(row: &AnyRow) -> Result<(DeviceId, i64), sqlx::Error> {
    Ok((device(row, "device")?, row.try_get(1)?))
}
