//! What devices are sorted and searched by beside their columns.

use sqlx::{AnyConnection, Row};

use crate::query::name_key;
use crate::{DeviceId, DeviceRecord};

/// Written only where it changes: three indexes hold it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DeviceKeys {
    pub(super) name: String,
    /// In thousandths of the device's unit.
    pub(super) battery_millis: i64,
}

impl DeviceKeys {
    pub(super) fn new(name: Option<&str>, battery: Option<&str>) -> Self {
        Self {
            name: name.map(name_key).unwrap_or_default(),
            battery_millis: battery.and_then(millis).unwrap_or(UNKNOWN_BATTERY),
        }
    }

    pub(super) fn from_record(record: &DeviceRecord) -> Self {
        Self::new(record.name.as_deref(), record.battery.as_deref())
    }

    pub(super) async fn save(
        &self,
        connection: &mut AnyConnection,
        device: DeviceId,
    ) -> Result<(), sqlx::Error> {
        self.write(connection, device.to_string()).await
    }

    async fn write(
        &self,
        connection: &mut AnyConnection,
        device: String,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE devices SET name_key = $2, battery_millis = $3 WHERE device = $1")
            .bind(device)
            .bind(self.name.clone())
            .bind(self.battery_millis)
            .execute(connection)
            .await
            .map(drop)
    }
}

/// Of devices that were stored before there were any.
pub(super) async fn fill(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let mut after = String::new();
    loop {
        let rows = sqlx::query(
            "SELECT device, name, battery FROM devices \
             WHERE device > $1 AND (name IS NOT NULL OR battery IS NOT NULL) \
             ORDER BY device LIMIT 1000",
        );
        let rows = rows.bind(after.clone()).fetch_all(&mut *connection).await?;
        for row in &rows {
            let text = |name| row.try_get::<Option<String>, _>(name);
            let keys = DeviceKeys::new(text("name")?.as_deref(), text("battery")?.as_deref());
            let device: String = row.try_get("device")?;
            keys.write(connection, device.clone()).await?;
            after = device;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// A decimal number: "6.1" is 6100.
fn millis(text: &str) -> Option<i64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let is_number = [whole, fraction]
        .iter()
        .all(|digits| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()));
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    is_number.then(|| {
        let whole: u32 = whole.parse().ok()?;
        Some(i64::from(whole) * 1000 + thousandths.parse::<i64>().ok()?)
    })?
}

/// Sorts behind all others.
const UNKNOWN_BATTERY: i64 = i64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voltage_is_read_in_thousandths() {
        for (text, expected) in [
            ("6.1", Some(6100)),
            ("6", Some(6000)),
            (" 5.98765 ", Some(5987)),
            ("0.07", Some(70)),
            ("", None),
            (".5", None),
            ("6.", None),
            ("-1", None),
            ("6,1", None),
            ("low", None),
            ("99999999999", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
