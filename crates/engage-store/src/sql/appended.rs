//! The order in which events of all devices were stored, by whichever host: runs of them, numbered in
//! the order of the commits. Who sees a run sees all before it, now and ever after.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::counters::Counter;
use super::devices::readable;
use super::event_rows::{EventRow, MAX_PAGE_BYTES, MAX_ROWS, event, event_conditions};
use super::statement::{pieces, statement, value_rows};
use crate::query::EventPosition;
use crate::{DeviceId, EventPage, EventPageToken, EventQuery};

/// Events of one device that follow each other and were filed together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    device: DeviceId,
    filed_at: i64,
    first_seq: i64,
    last_seq: i64,
}

/// Adds the runs of events that are in the order of their numbers.
pub(super) fn add_runs(runs: &mut Vec<Run>, events: &[EventRow]) {
    for event in events {
        match runs.last_mut() {
            Some(run) if run.device == event.device && run.filed_at == event.filed_at => {
                run.last_seq = event.seq;
            }
            _ => runs.push(Run {
                device: event.device,
                filed_at: event.filed_at,
                first_seq: event.seq,
                last_seq: event.seq,
            }),
        }
    }
}

/// Numbers runs. The last thing that a transaction does: who numbers next waits for its end.
pub(super) async fn number(
    connection: &mut AnyConnection,
    runs: &[Run],
) -> Result<(), sqlx::Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(runs.len()).unwrap_or(i64::MAX);
    let last = Counter::Appended.advance(connection, count).await?;
    let mut number = last - count;
    for runs in pieces(runs, 5) {
        let values = value_rows(runs.len(), 5);
        let mut query = statement(format!(
            "INSERT INTO appended (number, filed_at, device, first_seq, last_seq) VALUES {values}"
        ));
        for run in runs {
            number += 1;
            query = query
                .bind(number)
                .bind(run.filed_at)
                .bind(run.device.to_string())
                .bind(run.first_seq)
                .bind(run.last_seq);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Behind all that was stored until now.
pub(super) async fn end(connection: &mut AnyConnection) -> Result<EventPageToken, sqlx::Error> {
    let row = sqlx::query("SELECT coalesce(max(number), 0) FROM appended");
    let number = row.fetch_one(connection).await?.try_get(0)?;
    Ok(EventPageToken(behind(number)))
}

/// All events that a query asks for, the oldest first.
pub(super) async fn events(
    connection: &mut AnyConnection,
    query: &EventQuery,
) -> Result<EventPage, sqlx::Error> {
    let limit = query.limit.rows();
    let (mut events, mut left_out) = (Vec::new(), Vec::new());
    let (mut bytes, mut looked_at) = (0, 0);
    let mut at = match query.after.as_ref().map(EventPageToken::position) {
        Some(EventPosition::Appended { number, seq }) => (number, seq),
        _ => (0, i64::MAX),
    };
    let mut is_end = false;
    while events.len() < limit && bytes < MAX_PAGE_BYTES && looked_at < MAX_LOOKED_AT {
        let Some(to) = some_runs(connection, at).await? else {
            is_end = true;
            break;
        };
        let wanted = MAX_ROWS.min(limit - events.len());
        let rows = some_events(connection, query, at, to, wanted).await?;
        for (event, _) in readable(&rows, &mut left_out, event)? {
            bytes += event.text.len();
            events.push(event);
        }
        at = match rows.last().filter(|_| rows.len() == wanted) {
            Some(last) => (last.try_get("number")?, last.try_get("seq")?),
            None => (to, i64::MAX),
        };
        looked_at += SPAN;
    }
    let (number, seq) = at;
    let end = EventPageToken(EventPosition::Appended { number, seq });
    Ok(EventPage {
        events,
        next: (!is_end).then(|| end.clone()),
        end: Some(end),
        left_out,
    })
}

/// The last of some runs that are not read to their end.
async fn some_runs(
    connection: &mut AnyConnection,
    (number, seq): (i64, i64),
) -> Result<Option<i64>, sqlx::Error> {
    let from = if seq == i64::MAX {
        number.saturating_add(1)
    } else {
        number
    };
    // Old ones are removed: their numbers are not looked through.
    let row = sqlx::query(
        "SELECT max(number) FROM \
         (SELECT number FROM appended WHERE number >= $1 ORDER BY number LIMIT $2) AS runs",
    )
    .bind(from)
    .bind(SPAN)
    .fetch_one(connection)
    .await?;
    row.try_get(0)
}

/// Few at a time: an event may be a mebibyte long.
async fn some_events(
    connection: &mut AnyConnection,
    query: &EventQuery,
    (number, seq): (i64, i64),
    to: i64,
    rows: usize,
) -> Result<Vec<AnyRow>, sqlx::Error> {
    let mut conditions = event_conditions(&query.filter);
    conditions.add(
        "a.number >= $ AND a.number <= $",
        [number.into(), to.into()],
    );
    conditions.add("(a.number > $ OR e.seq > $)", [number.into(), seq.into()]);
    // Numbers begin anew with a device that has made room: its new events were filed later.
    conditions.add(
        "e.device = a.device AND e.seq BETWEEN a.first_seq AND a.last_seq AND e.filed_at = a.filed_at",
        [],
    );
    // In this order, or SQLite might begin with all events of a code.
    let columns = format_args!(
        "a.number AS number, e.device AS device, e.seq AS seq, e.kind AS kind, e.filed_at AS filed_at, \
         e.body AS body FROM appended a CROSS JOIN events e"
    );
    let select = conditions.select(columns, "a.number, e.seq", rows);
    select.fetch_all(connection).await
}

fn behind(number: i64) -> EventPosition {
    EventPosition::Appended {
        number,
        seq: i64::MAX,
    }
}

/// Runs in one statement, and for one page where the filter lets few through.
const SPAN: i64 = 256;
const MAX_LOOKED_AT: i64 = 64 * SPAN;
