//! All devices in a few numbers: each is counted in an index.

use jiff::Timestamp;
use sqlx::{AnyConnection, Row};

use crate::{BatteryCount, DeviceSummary, SiteDevices};

pub(super) async fn summary(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<DeviceSummary, sqlx::Error> {
    let by_site = by_site(connection, since).await?;
    Ok(DeviceSummary {
        devices: by_site.iter().map(|site| site.devices).sum(),
        seen_since: by_site.iter().map(|site| site.seen).sum(),
        by_site,
        batteries: batteries(connection).await?,
    })
}

async fn by_site(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<Vec<SiteDevices>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT site, count(*) AS devices, count(CASE WHEN last_seen >= $1 THEN 1 END) AS seen \
         FROM devices GROUP BY site",
    );
    let rows = rows.bind(since.as_microsecond()).fetch_all(connection);
    let sites = rows.await?.into_iter().map(|row| {
        Ok(SiteDevices {
            site: row.try_get("site")?,
            devices: row.try_get::<i64, _>("devices")?.unsigned_abs(),
            seen: row.try_get::<i64, _>("seen")?.unsigned_abs(),
        })
    });
    let mut sites = sites.collect::<Result<Vec<_>, sqlx::Error>>()?;
    sites.sort_by(|a, b| a.site.cmp(&b.site));
    Ok(sites)
}

/// What no battery has is not shown. In the order of the index, which is that of no expression.
async fn batteries(connection: &mut AnyConnection) -> Result<Vec<BatteryCount>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT battery_millis, count(*) AS devices FROM devices \
         WHERE battery_millis >= 0 AND battery_millis < 20000 \
         GROUP BY battery_millis ORDER BY battery_millis",
    );
    let mut counts: Vec<BatteryCount> = Vec::new();
    for row in rows.fetch_all(connection).await? {
        let millis: i64 = row.try_get("battery_millis")?;
        let tenths = u16::try_from(millis / 100).unwrap_or(u16::MAX);
        let devices = row.try_get::<i64, _>("devices")?.unsigned_abs();
        match counts.last_mut() {
            Some(last) if last.tenths == tenths => last.devices += devices,
            _ => counts.push(BatteryCount { tenths, devices }),
        }
    }
    Ok(counts)
}
