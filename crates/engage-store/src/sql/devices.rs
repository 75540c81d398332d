//! The rows of devices: what is known of them, and where their events end.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::device_keys::DeviceKeys;
use super::error::is_of_row;
use super::hour::Hour;
use super::statement::{pieces, statement, value_list, value_rows};
use crate::BatchId;
use crate::{Call, DeviceId, DeviceObservation, DeviceRecord, EventKind, Timestamped};

/// A row of `devices`, locked by the transaction that has it.
#[derive(Clone, Debug)]
pub(super) struct DeviceRow {
    pub(super) record: DeviceRecord,
    /// How often it was written: who copies it knows what it has.
    revision: i64,
    /// Of its newest event; 0 before the first.
    pub(super) last_seq: i64,
    /// When its newest event arrived, by a clock that never goes back.
    pub(super) filed_at: i64,
    last_audits: Option<BatchId>,
    last_alerts: Option<BatchId>,
    /// Since when it is told from one that somebody has invented; `None` also where it was not read.
    proven_at: Option<Timestamp>,
    /// As they are stored, where they were read.
    keys: Option<DeviceKeys>,
    /// Hours in which it is seen for the first time.
    call_in_hours: Vec<Hour>,
}

impl DeviceRow {
    fn new(device: DeviceId, seen: Timestamp) -> Self {
        Self {
            record: DeviceRecord::new(device, seen),
            revision: 0,
            last_seq: 0,
            filed_at: 0,
            last_audits: None,
            last_alerts: None,
            proven_at: None,
            keys: None,
            call_in_hours: Vec::new(),
        }
    }

    /// It delivers something.
    pub(super) fn called(&mut self, call: &Call) {
        let at = call.received_at;
        self.count_hour(at);
        self.record.last_seen = self.record.last_seen.max(at);
        self.prove_if(call.is_registered(), at);
    }

    /// Takes over what was seen of it.
    pub(super) fn apply(&mut self, observation: DeviceObservation, at: Timestamp) {
        let is_registered = matches!(
            observation,
            DeviceObservation::Seen {
                is_registered: true,
                ..
            }
        );
        self.count_hour(at);
        self.record.apply(observation, at);
        self.prove_if(is_registered, at);
    }

    fn count_hour(&mut self, at: Timestamp) {
        let hour = Hour::from_timestamp(at);
        let is_first = self.is_new() || hour > Hour::from_timestamp(self.record.last_seen);
        if is_first && !self.call_in_hours.contains(&hour) {
            self.call_in_hours.push(hour);
        }
    }

    pub(super) fn call_in_hours(&self) -> &[Hour] {
        &self.call_in_hours
    }

    fn prove_if(&mut self, is_proven: bool, at: Timestamp) {
        self.proven_at = self.proven_at.or(is_proven.then_some(at));
    }

    /// The number of an event behind its newest.
    pub(super) fn next_seq(&mut self) -> Result<i64, sqlx::Error> {
        let next = self.last_seq.checked_add(1);
        self.last_seq = next.ok_or_else(|| {
            let (device, last) = (self.record.device, self.last_seq);
            let text = format!(
                "`last_seq` of device {device} is {last}: no event can be numbered after it"
            );
            sqlx::Error::Decode(text.into())
        })?;
        Ok(self.last_seq)
    }

    /// Whether nothing was written into it yet.
    pub(super) fn is_new(&self) -> bool {
        self.revision == 0
    }

    /// The newest batch of a kind.
    pub(super) fn last_batch(&mut self, kind: EventKind) -> &mut Option<BatchId> {
        match kind {
            EventKind::Alerts => &mut self.last_alerts,
            EventKind::Audits => &mut self.last_audits,
        }
    }

    pub(super) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let text = |name| row.try_get::<Option<String>, _>(name);
        let moment = |name| moment(row, name);
        let dated = |at, value| {
            let found = moment(at)?.zip(text(value)?);
            Ok::<_, sqlx::Error>(found.map(|(at, value)| Timestamped { at, value }))
        };
        let batch = |name| Ok::<_, sqlx::Error>(text(name)?.and_then(|text| BatchId::parse(&text)));
        Ok(Self {
            record: DeviceRecord {
                device: device(row, "device")?,
                first_seen: moment("first_seen")?.unwrap_or_default(),
                last_seen: moment("last_seen")?.unwrap_or_default(),
                address: text("address")?.and_then(|text| text.parse::<IpAddr>().ok()),
                site: text("site")?,
                name: text("name")?,
                model: text("model")?,
                firmware: text("firmware")?,
                battery: text("battery")?,
                certificate: dated("certificate_at", "certificate")?,
                tls: dated("tls_at", "tls")?,
                config_saved_at: moment("config_saved_at")?,
                audits_stored_at: moment("audits_stored_at")?,
                database: dated("database_at", "database_version")?,
                database_refused: text("database_refused")?,
                next_call_in: dated("next_call_at", "next_call")?,
            },
            revision: row.try_get("revision")?,
            last_seq: row.try_get("last_seq")?,
            filed_at: row.try_get("filed_at")?,
            last_audits: batch("last_audits")?,
            last_alerts: batch("last_alerts")?,
            proven_at: None,
            keys: None,
            call_in_hours: Vec::new(),
        })
    }
}

/// Those of `devices` that have a row.
pub(super) async fn known(
    connection: &mut AnyConnection,
    devices: &[DeviceId],
) -> Result<Vec<DeviceId>, sqlx::Error> {
    let mut known = Vec::new();
    for devices in pieces(devices, 1) {
        let list = value_list(devices.len());
        let mut query = statement(format!(
            "SELECT device FROM devices WHERE device IN ({list})"
        ));
        for device in devices {
            query = query.bind(device.to_string());
        }
        for row in query.fetch_all(&mut *connection).await? {
            known.push(device(&row, "device")?);
        }
    }
    Ok(known)
}

/// The rows of devices, made where they are missing, and locked until the transaction ends. In the
/// order of their names, so that no two hosts wait for each other.
pub(super) async fn lock(
    connection: &mut AnyConnection,
    devices: &BTreeMap<DeviceId, Timestamp>,
) -> Result<BTreeMap<DeviceId, DeviceRow>, sqlx::Error> {
    let mut rows: BTreeMap<DeviceId, DeviceRow> = BTreeMap::new();
    let devices: Vec<_> = devices.iter().collect();
    for devices in pieces(&devices, 6) {
        let values = value_rows(devices.len(), 6);
        let mut query = statement(format!(
            "INSERT INTO devices (device, first_seen, last_seen, revision, last_seq, filed_at) VALUES {values} \
             ON CONFLICT (device) DO UPDATE SET last_seq = devices.last_seq \
             RETURNING {},proven_at,name_key,battery_millis",
            COLUMNS.join(",")
        ));
        for (device, seen) in devices {
            let new = DeviceRow::new(**device, **seen);
            let seen = seen.as_microsecond();
            query = query.bind(device.to_string()).bind(seen).bind(seen);
            query = query.bind(new.revision);
            query = query.bind(new.last_seq).bind(new.filed_at);
        }
        for row in query.fetch_all(&mut *connection).await? {
            let proven_at = moment(&row, "proven_at")?;
            let keys = Some(DeviceKeys {
                name: row.try_get("name_key")?,
                battery_millis: row.try_get("battery_millis")?,
            });
            let row = DeviceRow {
                proven_at,
                keys,
                ..DeviceRow::read(&row)?
            };
            rows.insert(row.record.device, row);
        }
    }
    Ok(rows)
}

/// Writes rows back that [`lock`] has returned.
pub(super) async fn save<'a>(
    connection: &mut AnyConnection,
    rows: impl Iterator<Item = &'a DeviceRow>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = rows.collect();
    save_columns(connection, &rows).await?;
    for row in rows {
        let keys = DeviceKeys::from_record(&row.record);
        if row.keys.as_ref() != Some(&keys) {
            keys.save(connection, row.record.device).await?;
        }
    }
    Ok(())
}

async fn save_columns(
    connection: &mut AnyConnection,
    rows: &[&DeviceRow],
) -> Result<(), sqlx::Error> {
    let columns = [&COLUMNS[..], &["proven_at"]].concat();
    for rows in pieces(rows, columns.len()) {
        let values = value_rows(rows.len(), columns.len());
        let replaced = columns[1..]
            .iter()
            .map(|name| format!("{name} = excluded.{name}"));
        let mut query = statement(format!(
            "INSERT INTO devices ({}) VALUES {values} ON CONFLICT (device) DO UPDATE SET {}",
            columns.join(","),
            replaced.collect::<Vec<_>>().join(",")
        ));
        for row in rows {
            let DeviceRow { record: it, .. } = row;
            let is_proven = it.certificate.is_some() || it.config_saved_at.is_some();
            let proven_at = row.proven_at.or(is_proven.then_some(it.last_seen));
            let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
            let at = |dated: &Option<Timestamped>| micros(dated.as_ref().map(|it| it.at));
            let value = |dated: &Option<Timestamped>| text(dated.as_ref().map(|it| &it.value));
            query = query
                .bind(it.device.to_string())
                .bind(row.revision.wrapping_add(1))
                .bind(row.last_seq)
                .bind(row.filed_at)
                .bind(row.last_audits.map(String::from))
                .bind(row.last_alerts.map(String::from))
                .bind(it.first_seen.as_microsecond())
                .bind(it.last_seen.as_microsecond())
                .bind(it.address.map(|address| address.to_string()))
                .bind(text(it.site.as_ref()))
                .bind(text(it.name.as_ref()))
                .bind(text(it.model.as_ref()))
                .bind(text(it.firmware.as_ref()))
                .bind(text(it.battery.as_ref()))
                .bind(at(&it.certificate))
                .bind(value(&it.certificate))
                .bind(at(&it.tls))
                .bind(value(&it.tls))
                .bind(micros(it.config_saved_at))
                .bind(micros(it.audits_stored_at))
                .bind(at(&it.database))
                .bind(value(&it.database))
                .bind(text(it.database_refused.as_ref()))
                .bind(at(&it.next_call_in))
                .bind(value(&it.next_call_in))
                .bind(micros(proven_at));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// PostgreSQL takes every character but this.
fn text(value: Option<&String>) -> Option<String> {
    value.map(|value| value.replace('\0', "\u{fffd}"))
}

/// What is known of one device.
pub(super) async fn record(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<DeviceRecord>, sqlx::Error> {
    let list = COLUMNS.join(",");
    let query = statement(format!("SELECT {list} FROM devices WHERE device = $1"));
    let row = query
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(DeviceRow::read(&row)?.record)).transpose()
}

/// Of those that called in from an address the last time.
pub(super) async fn last_tls_session(
    connection: &mut AnyConnection,
    address: IpAddr,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let last = "SELECT max(tls_at) AS tls_at FROM devices WHERE address = $1";
    let row = sqlx::query(last)
        .bind(address.to_string())
        .fetch_one(connection)
        .await?;
    moment(&row, "tls_at")
}

/// What rows hold. Those that hold what is never written here are left out: what is wrong with each
/// is added to `left_out`.
pub(super) fn readable<T>(
    rows: &[AnyRow],
    left_out: &mut Vec<String>,
    read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(value) => found.push(value),
            Err(error) if is_of_row(&error) => {
                let device: String = row.try_get("device").unwrap_or_default();
                left_out.push(format!("a row of device `{device}` is left out: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// A column that names a device.
pub(super) fn device(row: &AnyRow, name: &str) -> Result<DeviceId, sqlx::Error> {
    let text: String = row.try_get(name)?;
    text.parse().map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: Box::new(error),
    })
}

/// A column of microseconds.
pub(super) fn moment(row: &AnyRow, name: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros: Option<i64> = row.try_get(name)?;
    Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// Those of every schema: a database is also read before a daemon has brought it up to date.
pub(super) const COLUMNS: [&str; 25] = [
    "device",
    "revision",
    "last_seq",
    "filed_at",
    "last_audits",
    "last_alerts",
    "first_seen",
    "last_seen",
    "address",
    "site",
    "name",
    "model",
    "firmware",
    "battery",
    "certificate_at",
    "certificate",
    "tls_at",
    "tls",
    "config_saved_at",
    "audits_stored_at",
    "database_at",
    "database_version",
    "database_refused",
    "next_call_at",
    "next_call",
];
