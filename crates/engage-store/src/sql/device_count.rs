//! How many devices are known, for the quota.

use std::time::Instant;

use sqlx::{AnyConnection, Row};

use crate::quota::{DeviceCount, DeviceQuota};

/// Counts them, and tells the quota.
pub(super) async fn count(
    connection: &mut AnyConnection,
    quota: &DeviceQuota,
) -> Result<DeviceCount, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM devices) AS known, \
         (SELECT count(*) FROM devices WHERE proven_at IS NULL) AS unproven",
    );
    let row = row.fetch_one(connection).await?;
    let number = |name| {
        row.try_get::<i64, _>(name)
            .map(|it| usize::try_from(it).unwrap_or(0))
    };
    let count = DeviceCount {
        all: number("known")?,
        unproven: number("unproven")?,
    };
    quota.set_counted(count, Instant::now());
    Ok(count)
}
