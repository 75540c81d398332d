//! How many devices called in each hour.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, AnyPool, Row};

use super::devices::{DeviceRow, moment};
use super::hour::Hour;
use crate::HourlyCallIns;

/// Adds the hours in which these devices were seen first. Hosts write the same rows: in their order, and
/// after all that others may wait for.
pub(super) async fn add<'a>(
    connection: &mut AnyConnection,
    rows: impl Iterator<Item = &'a DeviceRow>,
) -> Result<(), sqlx::Error> {
    let mut hours: BTreeMap<Hour, i64> = BTreeMap::new();
    for hour in rows.flat_map(DeviceRow::call_in_hours) {
        *hours.entry(*hour).or_default() += 1;
    }
    for (Hour(hour), devices) in hours {
        sqlx::query(
            "INSERT INTO call_ins (hour, devices) VALUES ($1, $2) \
             ON CONFLICT (hour) DO UPDATE SET devices = call_ins.devices + excluded.devices",
        )
        .bind(hour)
        .bind(devices)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Of hours that begin at this moment or later, by hour.
pub(super) async fn since(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<Vec<HourlyCallIns>, sqlx::Error> {
    let rows = sqlx::query("SELECT hour, devices FROM call_ins WHERE hour >= $1 ORDER BY hour")
        .bind(since.as_microsecond())
        .fetch_all(connection)
        .await?;
    let hours = rows.iter().map(|row| {
        let count: i64 = row.try_get("devices")?;
        Ok(HourlyCallIns {
            hour: moment(row, "hour")?.unwrap_or_default(),
            count: count.unsigned_abs(),
        })
    });
    hours.collect()
}

/// Those that nobody asks for any more.
pub(super) async fn remove_old(pool: &AnyPool, now: Timestamp) -> Result<(), sqlx::Error> {
    let oldest_kept = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    sqlx::query("DELETE FROM call_ins WHERE hour < $1")
        .bind(oldest_kept.as_microsecond())
        .execute(pool)
        .await
        .map(drop)
}

const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);
