//! What was set aside: events that the webhook's receiver refused, and bodies that could not be read.
//!
//! The bodies themselves stay on the host: they may hold credentials, and what cannot be read cannot be
//! masked.

use std::sync::Arc;

use axum::extract::State;
use engage_store::{
    DeviceId, QuarantinedBody, StoreError, StoreReader, Subscriber, Undelivered, UndeliveredEvent,
    redact,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cursor::{PageParams, page_of_names};
use super::devices::{DeviceError, DevicePath, store};
use super::extract::{Path, Query};
use super::problem::Refused;
use super::work::blocking;
use crate::admin::Admin;
use crate::recording::StoreLocation;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(devices))
        .routes(routes!(events))
        .routes(routes!(bodies))
}

/// Devices with events that the webhook's receiver refused again and again.
#[derive(Serialize, ToSchema)]
struct UndeliveredList {
    /// By their names.
    devices: Vec<UndeliveredCount>,
    /// `cursor` of the next page, if there is more.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct UndeliveredCount {
    /// Serial number, or `addr-` and an IP address.
    device: String,
    /// Those that are listed.
    events: usize,
    /// Older ones that are not named any more.
    dropped: u64,
}

/// List devices with events that the webhook's receiver refused
///
/// They were set aside so that later events of their devices are delivered; they are still among the events.
#[utoipa::path(
    get,
    path = "/undelivered",
    operation_id = "listUndelivered",
    tag = "events",
    params(PageParams),
    responses((status = 200, description = "A page of devices", body = UndeliveredList))
)]
async fn devices(
    State(admin): State<Arc<Admin>>,
    Query(page): Query<PageParams>,
) -> Result<axum::Json<UndeliveredList>, Refused> {
    let all = read(&admin, |reader| {
        reader.undelivered(Subscriber::Webhook, None)
    });
    let mut counts: Vec<_> = all.await?.into_iter().map(UndeliveredCount::new).collect();
    counts.sort_by(|one, other| one.device.cmp(&other.device));
    let (devices, next) = page_of_names(counts, &page, |it| &it.device)?;
    Ok(axum::Json(UndeliveredList { devices, next }))
}

impl UndeliveredCount {
    fn new((device, undelivered): (DeviceId, Undelivered)) -> Self {
        Self {
            device: device.to_string(),
            events: undelivered.events.len(),
            dropped: undelivered.dropped,
        }
    }
}

/// What was set aside of a device.
#[derive(Serialize, ToSchema)]
struct UndeliveredEvents {
    /// In the order in which they were set aside.
    events: Vec<SetAsideEvent>,
    /// Older ones that are not named any more.
    dropped: u64,
}

#[derive(Serialize, ToSchema)]
struct SetAsideEvent {
    #[schema(format = DateTime)]
    set_aside_at: String,
    /// `audits` or `alerts`.
    log: &'static str,
    /// What the receiver answered.
    reason: String,
    /// As it is stored, secrets masked.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
}

impl SetAsideEvent {
    fn new(undelivered: UndeliveredEvent) -> Option<Self> {
        let text = serde_json::to_string(&undelivered.event).ok()?;
        Some(Self {
            set_aside_at: undelivered.set_aside_at.to_string(),
            log: undelivered.log.as_str(),
            reason: undelivered.reason,
            event: RawValue::from_string(redact(&text)).ok()?,
        })
    }
}

/// List the events of a device that the webhook's receiver refused
///
/// As `engage-host devices undelivered SERIAL`: the newest hundred.
#[utoipa::path(
    get,
    path = "/devices/{device}/undelivered",
    operation_id = "getUndelivered",
    tag = "events",
    params(DevicePath),
    responses((status = 200, description = "Its events", body = UndeliveredEvents))
)]
async fn events(
    State(admin): State<Arc<Admin>>,
    Path(DevicePath { device }): Path<DevicePath>,
) -> Result<axum::Json<UndeliveredEvents>, Refused> {
    let record = store(&admin)?.device(device).await?;
    record.ok_or(DeviceError::Unknown { device })?;
    let found = read(&admin, move |reader| {
        reader.undelivered(Subscriber::Webhook, Some(device))
    });
    let found = found.await?.into_iter().next();
    let (_, Undelivered { events, dropped }) = found.unwrap_or((device, Undelivered::default()));
    Ok(axum::Json(UndeliveredEvents {
        events: events.into_iter().filter_map(SetAsideEvent::new).collect(),
        dropped,
    }))
}

/// Bodies that were refused because they could not be read.
#[derive(Serialize, ToSchema)]
struct QuarantineList {
    /// Oldest first: the newest 16 of a device, 4096 in all.
    bodies: Vec<RefusedBody>,
}

/// A body that was answered 400, without its bytes.
#[derive(Serialize, ToSchema)]
struct RefusedBody {
    /// Serial number, or `addr-` and an IP address.
    device: String,
    /// To the microsecond: `engage-host devices quarantine show` finds it by this.
    #[schema(format = DateTime)]
    received_at: String,
    /// `alert`, `audit` or `config`.
    kind: &'static str,
    size_bytes: u64,
}

impl From<QuarantinedBody> for RefusedBody {
    fn from(body: QuarantinedBody) -> Self {
        Self {
            device: body.device.to_string(),
            received_at: body.received_at.to_string(),
            kind: body.kind.as_str(),
            size_bytes: body.size_bytes,
        }
    }
}

/// List the bodies that were refused because they could not be read
///
/// The bodies themselves stay on the host: `engage-host devices quarantine show`.
#[utoipa::path(
    get,
    path = "/quarantine",
    operation_id = "listQuarantine",
    tag = "events",
    responses((status = 200, description = "All of them", body = QuarantineList))
)]
async fn bodies(State(admin): State<Arc<Admin>>) -> Result<axum::Json<QuarantineList>, Refused> {
    let bodies = read(&admin, StoreReader::quarantined_bodies).await?;
    let bodies = bodies.into_iter().map(RefusedBody::from).collect();
    Ok(axum::Json(QuarantineList { bodies }))
}

/// As the commands read it, beside the daemon's own store.
async fn read<T: Send + 'static>(
    admin: &Admin,
    look: impl FnOnce(&StoreReader) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    store(admin)?;
    let config = admin.control.config();
    let found = blocking(move || {
        let location = StoreLocation::from_config(&config)?.existing(&config.path)?;
        let reader = StoreReader::open(&location.options)?;
        let place = location.options.url.to_string();
        Ok(look(&reader).map_err(|error| StoreError::Unavailable {
            place,
            source: Arc::new(error),
            hint: "are the disk and the database well?",
        }))
    });
    Ok(found.await??)
}
