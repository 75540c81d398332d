//! The devices that called.

use std::sync::Arc;

use axum::extract::State;
use engage_store::{
    DeviceId, DeviceOrder, DevicePageToken, DeviceQuery, NamePart, SerialPrefix, Store,
};
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;
use miette::Diagnostic;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cursor::{cursor, page_limit};
use super::device::Device;
use super::extract::{Path, Query, parsed};
use super::problem::Refused;
use crate::admin::Admin;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// Which devices, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeviceParams {
    /// Only devices whose serial number begins so: hexadecimal digits, any case
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^[0-9A-Fa-f]{1,32}$")]
    serial: Option<SerialPrefix>,
    /// Only devices whose door's name contains this, in any case
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Option<NamePart>,
    /// Only devices of this site
    site: Option<String>,
    /// Only devices of this model, to the letter
    model: Option<String>,
    /// Only devices that fetched this certificate last: its SHA-256 fingerprint
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^[0-9A-Fa-f]{64}$")]
    certificate: Option<Fingerprint>,
    /// Only devices that called since
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    seen_since: Option<Timestamp>,
    /// Only devices that have not called since
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    not_seen_since: Option<Timestamp>,
    /// Which come first: `name` is the serial number
    #[serde(default, deserialize_with = "device_order")]
    #[param(value_type = Option<String>, pattern = "^(name|door-name|last-seen-newest-first|last-seen-oldest-first|battery-lowest-first)$")]
    order: Option<DeviceOrder>,
    /// Behind this page: `next` of the one before
    cursor: Option<String>,
    /// How many on one page
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

fn device_order<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DeviceOrder>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let order = DeviceOrder::parse(&text);
    order
        .map(Some)
        .ok_or_else(|| D::Error::custom("`order` is none that there is"))
}

/// A page of devices.
#[derive(Serialize, ToSchema)]
struct DeviceList {
    /// In the order that was asked for.
    devices: Vec<Device>,
    /// `cursor` of the next page, if there is more.
    next: Option<String>,
    /// What is wrong with rows among them that are left out: somebody changed them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// List devices that called
///
/// Those that meet all conditions.
#[utoipa::path(
    get,
    path = "/devices",
    operation_id = "listDevices",
    tag = "devices",
    params(DeviceParams),
    responses((status = 200, description = "A page of devices", body = DeviceList))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    Query(params): Query<DeviceParams>,
) -> Result<axum::Json<DeviceList>, Refused> {
    let query = DeviceQuery {
        after: cursor::<DevicePageToken>(params.cursor.as_deref())?,
        limit: page_limit(params.limit)?,
        serial: params.serial,
        name: params.name,
        order: params.order.unwrap_or_default(),
        site: params.site,
        model: params.model,
        certificate: params.certificate,
        seen_since: params.seen_since,
        not_seen_since: params.not_seen_since,
        ..DeviceQuery::default()
    };
    let page = store(&admin)?.devices(&query).await?;
    Ok(axum::Json(DeviceList {
        devices: page.devices.into_iter().map(Device::from).collect(),
        next: page.next.map(|it| it.to_string()),
        left_out: page.left_out,
    }))
}

/// A device, and what it uploaded.
#[derive(Serialize, ToSchema)]
struct ShownDevice {
    #[serde(flatten)]
    device: Device,
    /// Its last upload of parameters, secrets masked.
    #[schema(value_type = Option<Object>)]
    config: Option<Box<RawValue>>,
    /// Events that the webhook gave up.
    undelivered: u64,
    /// Bodies that were refused and are kept.
    quarantined: u64,
}

/// Show everything that is known of a device
#[utoipa::path(
    get,
    path = "/devices/{device}",
    operation_id = "getDevice",
    tag = "devices",
    params(DevicePath),
    responses((status = 200, description = "The device", body = ShownDevice))
)]
async fn show(
    State(admin): State<Arc<Admin>>,
    Path(DevicePath { device }): Path<DevicePath>,
) -> Result<axum::Json<ShownDevice>, Refused> {
    let store = store(&admin)?;
    let record = store.device(device).await?;
    let record = record.ok_or(DeviceError::Unknown { device })?;
    let upload = store.config_upload(device).await?;
    let set_aside = store.set_aside_of(device).await?;
    Ok(axum::Json(ShownDevice {
        device: record.into(),
        config: upload.and_then(|(_, text)| RawValue::from_string(text).ok()),
        undelivered: set_aside.undelivered,
        quarantined: set_aside.quarantined,
    }))
}

/// Which device a path names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DevicePath {
    /// Serial number of 16 or 32 hexadecimal digits, any case; or the IP address of a device that does not send it
    #[param(value_type = String)]
    pub(super) device: DeviceId,
}

/// The store of this daemon.
pub(super) fn store(admin: &Admin) -> Result<&Arc<dyn Store>, DeviceError> {
    let call_in = admin.app.call_in.as_ref();
    call_in.map(|it| &it.store).ok_or(DeviceError::NotRecorded)
}

#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum DeviceError {
    #[error("device {device} has never called")]
    #[diagnostic(
        code("unknown-device"),
        help("`GET /api/v1/devices` lists those that have")
    )]
    Unknown { device: DeviceId },
    #[error("the call-in is not recorded: the configuration has `[devices] directory = \"\"`")]
    #[diagnostic(
        code("not-recorded"),
        help("name a directory there, and restart the daemon")
    )]
    NotRecorded,
}
