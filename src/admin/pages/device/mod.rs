//! `/devices/{device}`: all that is known of one.

mod view;

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::response::Html;
use engage_store::{
    Adopted, AdoptionQuery, DeviceEvent, DeviceId, EventFilter, EventOrder, EventQuery, PageLimit,
    StoredEvent,
};
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;

use super::error::PageError;
use super::layout::Section;
use super::{PageState, answer, store};
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::publication::PublishedRotation;
use view::{Anchor, DeviceView, Upload};

pub(super) async fn show(
    State(admin): PageState,
    principal: Principal,
    Path(device): Path<String>,
) -> Result<Html<String>, PageError> {
    let device: DeviceId = device.parse().map_err(|_| PageError::NotFound)?;
    let store = store(&admin.app)?;
    let record = store.device(device).await?.ok_or(PageError::NotFound)?;
    let events = EventQuery {
        filter: EventFilter {
            device: Some(device),
            ..EventFilter::default()
        },
        order: EventOrder::NewestFirst,
        limit: PageLimit::clamped(LAST_EVENTS),
        ..EventQuery::default()
    };
    let events = store.events(&events).await?.events;
    let adoption = AdoptionQuery {
        device: Some(device),
        ..AdoptionQuery::default()
    };
    let adoption = store.adoption(&adoption).await?.devices.pop();
    let upload = store.config_upload(device).await?;
    let content = view::device(&DeviceView {
        now: Timestamp::now(),
        anchor: anchor(&admin, record.certificate.as_ref().map(|it| &*it.value)),
        handshake: record.address.and_then(|it| handshake(&admin, it)),
        adopted: adoption.map_or_else(Adopted::default, |it| it.adopted),
        events: events.iter().filter_map(readable).collect(),
        set_aside: store.set_aside_of(device).await?,
        upload: upload.map(|(at, json)| Upload { at, json }),
        record,
    });
    Ok(answer(
        &principal,
        Section::Devices,
        &device.to_string(),
        &content,
    ))
}

/// Whether what it fetched last is what some site announces now.
fn anchor(admin: &Admin, fetched: Option<&str>) -> Option<Anchor> {
    let fetched: Fingerprint = fetched?.parse().ok()?;
    let publication = admin.app.published.current();
    let next = publication.rotation().map(PublishedRotation::rotation);
    let mut sites = publication.announced_sites().iter();
    Some(if next.is_some_and(|it| it.is_new(fetched)) {
        Anchor::New
    } else if sites.any(|site| site.fingerprint == fetched) {
        Anchor::Announced
    } else {
        Anchor::Other
    })
}

fn handshake(admin: &Admin, address: IpAddr) -> Option<crate::tls::SeenHandshake> {
    admin.app.handshakes.get(address)
}

/// One that somebody has changed in the database is left out, as on the command line.
fn readable(event: &DeviceEvent) -> Option<StoredEvent> {
    event.parse().ok()
}

const LAST_EVENTS: u64 = 20;
