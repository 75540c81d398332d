//! A device as programs read it.

use engage_store::{DeviceRecord, Timestamped};
use serde::Serialize;
use utoipa::ToSchema;

/// What is known of a device. Everything but its name may be unknown.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as the command line spells it")]
pub(super) struct Device {
    /// Serial number, or `addr-` and an IP address.
    device: String,
    /// When it called for the first time.
    #[schema(format = DateTime)]
    first_seen: String,
    /// When it called last, on whatever route.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Where it called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The site whose announcement it fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// What its door is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its model, or its base type.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The version of its main firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<String>,
    /// The voltage of its main battery, in the device's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    battery: Option<String>,
    /// The last certificate that it fetched, by its SHA-256 fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Dated>,
    /// Its last TLS session, with the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Dated>,
    /// The last call-in that got as far as uploading parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    config_saved_at: Option<String>,
    /// The last audits that were acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    audits_stored_at: Option<String>,
    /// The last database that it asked for, with the stamp that it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<Dated>,
    /// Why its `db.json` is not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_refused: Option<String>,
    /// When it is to call next, with the local time that it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_call_in: Option<Dated>,
}

/// A value, and when it was so.
#[derive(Serialize, ToSchema)]
pub(super) struct Dated {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The value.
    value: String,
}

impl From<Timestamped> for Dated {
    fn from(dated: Timestamped) -> Self {
        Self {
            at: dated.at.to_string(),
            value: dated.value,
        }
    }
}

impl From<DeviceRecord> for Device {
    fn from(record: DeviceRecord) -> Self {
        Self {
            device: record.device.to_string(),
            first_seen: record.first_seen.to_string(),
            last_seen: record.last_seen.to_string(),
            address: record.address.map(|it| it.to_string()),
            site: record.site,
            name: record.name,
            model: record.model,
            firmware: record.firmware,
            battery: record.battery,
            certificate: record.certificate.map(Dated::from),
            tls: record.tls.map(Dated::from),
            config_saved_at: record.config_saved_at.map(|it| it.to_string()),
            audits_stored_at: record.audits_stored_at.map(|it| it.to_string()),
            database: record.database.map(Dated::from),
            database_refused: record.database_refused,
            next_call_in: record.next_call_in.map(Dated::from),
        }
    }
}
