//! Pages of devices, by key: the next one begins behind the last row of the one before.

use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, Row};

use super::conditions::{Conditions, Value};
use super::devices::{COLUMNS, DeviceRow, readable};
use crate::query::DeviceKey;
use crate::{DeviceId, DeviceOrder, DevicePage, DevicePageToken, DeviceQuery, SerialPrefix};

/// The devices that a query asks for.
pub(super) async fn devices(
    connection: &mut AnyConnection,
    query: &DeviceQuery,
) -> Result<DevicePage, sqlx::Error> {
    let limit = query.limit.rows();
    let (mut devices, mut left_out) = (Vec::new(), Vec::new());
    let mut after = query.after.as_ref().map(RowKey::from);
    // One more tells whether there is a next page.
    while devices.len() <= limit {
        let wanted = limit + 1 - devices.len();
        let select = select(query, after.as_ref(), wanted);
        let rows = select.fetch_all(&mut *connection).await?;
        let read = |row: &AnyRow| {
            let record = DeviceRow::read(row)?.record;
            let token = RowKey::read(row, query.order)?.token(query.order, record.device);
            Ok((record, token))
        };
        devices.extend(readable(&rows, &mut left_out, read)?);
        if rows.len() < wanted {
            break;
        }
        let last = rows.last();
        after = last.map(|row| RowKey::read(row, query.order)).transpose()?;
    }
    let has_next = devices.len() > limit;
    devices.truncate(limit);
    let last = devices.last().filter(|_| has_next);
    Ok(DevicePage {
        next: last.map(|(_, token)| token.clone()),
        devices: devices.into_iter().map(|(record, _)| record).collect(),
        left_out,
    })
}

fn select(
    query: &DeviceQuery,
    after: Option<&RowKey>,
    rows: usize,
) -> Query<'static, Any, AnyArguments> {
    let mut conditions = device_conditions(query);
    let (column, is_descending) = sorted_by(query.order);
    let comparison = if is_descending { "<" } else { ">" };
    match (after, column) {
        (None, _) => {}
        (Some(RowKey { device, .. }), None) => conditions.add("device > $", [device.into()]),
        (Some(RowKey { key, device }), Some(column)) => conditions.add(
            &format!("({column}, device) {comparison} ($, $)"),
            [key.clone().into(), device.into()],
        ),
    }
    let order = match (column, is_descending) {
        (None, _) => "device".to_owned(),
        (Some(column), false) => format!("{column}, device"),
        (Some(column), true) => format!("{column} DESC, device DESC"),
    };
    let mut columns = COLUMNS.to_vec();
    columns.extend(column.filter(|column| !COLUMNS.contains(column)));
    let columns = columns.join(",");
    if query.name.is_some() || query.search.is_some() {
        // What is searched is in the index that has the order: only what is found is read.
        conditions.select_within(
            format_args!("{columns} FROM devices WHERE device IN (SELECT device FROM devices"),
            &order,
            rows,
        )
    } else {
        conditions.select(format_args!("{columns} FROM devices"), &order, rows)
    }
}

/// The column before the name, and whether the greatest come first.
fn sorted_by(order: DeviceOrder) -> (Option<&'static str>, bool) {
    match order {
        DeviceOrder::Name => (None, false),
        DeviceOrder::DoorName => (Some("name_key"), false),
        DeviceOrder::LastSeenNewestFirst => (Some("last_seen"), true),
        DeviceOrder::LastSeenOldestFirst => (Some("last_seen"), false),
        DeviceOrder::BatteryLowestFirst => (Some("battery_millis"), false),
    }
}

/// Where a row is, whether or not the rest of it can be read.
struct RowKey {
    key: Key,
    device: String,
}

#[derive(Clone)]
enum Key {
    None,
    Number(i64),
    Text(String),
}

impl RowKey {
    fn read(row: &AnyRow, order: DeviceOrder) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key: match (order, sorted_by(order).0) {
                (_, None) => Key::None,
                (DeviceOrder::DoorName, Some(column)) => Key::Text(row.try_get(column)?),
                (_, Some(column)) => Key::Number(row.try_get(column)?),
            },
            device: row.try_get("device")?,
        })
    }

    fn token(self, order: DeviceOrder, device: DeviceId) -> DevicePageToken {
        let (number, text) = match self.key {
            Key::None => (0, String::new()),
            Key::Number(number) => (number, String::new()),
            Key::Text(text) => (0, text),
        };
        let key = match order {
            DeviceOrder::Name => DeviceKey::Name,
            DeviceOrder::DoorName => DeviceKey::DoorName(text),
            DeviceOrder::LastSeenNewestFirst => DeviceKey::LastSeenNewestFirst(number),
            DeviceOrder::LastSeenOldestFirst => DeviceKey::LastSeenOldestFirst(number),
            DeviceOrder::BatteryLowestFirst => DeviceKey::BatteryLowestFirst(number),
        };
        DevicePageToken { key, device }
    }
}

impl From<&DevicePageToken> for RowKey {
    fn from(token: &DevicePageToken) -> Self {
        let key = match &token.key {
            DeviceKey::Name => Key::None,
            DeviceKey::DoorName(name) => Key::Text(name.clone()),
            DeviceKey::LastSeenNewestFirst(number)
            | DeviceKey::LastSeenOldestFirst(number)
            | DeviceKey::BatteryLowestFirst(number) => Key::Number(*number),
        };
        let device = token.device.to_string();
        Self { key, device }
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::None => Self::Number(0),
            Key::Number(number) => Self::Number(number),
            Key::Text(text) => Self::Text(text),
        }
    }
}

fn device_conditions(query: &DeviceQuery) -> Conditions {
    let DeviceQuery {
        serial,
        name,
        search,
        site,
        model,
        certificate,
        seen_since,
        not_seen_since,
        order: _,
        after: _,
        limit: _,
    } = query;
    let mut conditions = Conditions::default();
    if let Some(prefix) = serial {
        conditions.add(
            "device >= $ AND device < $",
            [prefix.into(), (&end(prefix)).into()],
        );
    }
    if let Some(name) = name {
        conditions.add(NAME_CONTAINS, [(&name.pattern()).into()]);
    }
    if let Some(text) = search {
        let pattern = (&text.pattern()).into();
        match text.serial() {
            None => conditions.add(NAME_CONTAINS, [pattern]),
            Some(prefix) => conditions.add(
                "(name_key LIKE $ ESCAPE '!' OR device >= $ AND device < $)",
                [pattern, (&prefix).into(), (&end(&prefix)).into()],
            ),
        }
    }
    if let Some(site) = site {
        conditions.add("site = $", [site.into()]);
    }
    if let Some(model) = model {
        conditions.add("model = $", [model.into()]);
    }
    if let Some(certificate) = certificate {
        conditions.add("certificate = $", [certificate.into()]);
    }
    if let Some(since) = seen_since {
        conditions.add("last_seen >= $", [since.as_microsecond().into()]);
    }
    if let Some(since) = not_seen_since {
        conditions.add("last_seen < $", [since.as_microsecond().into()]);
    }
    conditions
}

/// Behind all digits, so that nothing but them is compared: no wildcard there is.
fn end(prefix: &SerialPrefix) -> String {
    format!("{prefix}G")
}

const NAME_CONTAINS: &str = "name_key LIKE $ ESCAPE '!'";

#[cfg(test)]
mod tests {
    use sqlx::Execute;

    use super::super::tests::steps_of;
    use super::*;

    /// An index has the order, and what is searched.
    #[test]
    fn no_page_reads_all_devices_or_sorts_them() {
        let part = |text: &str| text.parse().ok();
        for order in DeviceOrder::ALL {
            for (name, search) in [
                (None, None),
                (part("door"), None),
                (None, part("door")),
                (None, part("01ab")),
            ] {
                let is_search = name.is_some() || search.is_some();
                let query = DeviceQuery {
                    name,
                    search,
                    order,
                    ..DeviceQuery::default()
                };
                let device = String::new();
                let key = Key::None;
                let steps = steps_of(
                    select(&query, Some(&RowKey { key, device }), 50)
                        .sql()
                        .as_str(),
                );
                let reads_all =
                    |step: &&String| step.contains("SCAN devices") && !step.contains("INDEX");
                assert_eq!(steps.iter().find(reads_all), None, "{order} {steps:#?}");
                // Of what was found, which is a page.
                let sorts = steps.iter().filter(|step| step.contains("TEMP B-TREE"));
                assert!(
                    sorts.count() <= usize::from(is_search),
                    "{order} {steps:#?}"
                );
            }
        }
    }
}
