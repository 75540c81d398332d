//! `/readyz`: whether devices are served, and if not, whose trouble it is.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use super::Admin;
use crate::publication::{Expiry, Publication, Warning};
use crate::routes::App;
use engage_store::{Health, RotationStep, Store, StoreSize};
use engage_wire::clock;
use engage_wire::diagnostic::causes;
use jiff::Timestamp;

/// 200 while devices would accept what is served and what they deliver can be stored; 503 with a
/// line for each reason otherwise. What concerns single sites or devices is a warning.
pub(super) async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    let now = clock::now();
    let reasons = reasons(&admin.app, now);
    let mut text = String::new();
    // Writing to a string cannot fail.
    for reason in &reasons {
        let _ = writeln!(text, "not ready: {reason}");
    }
    for warning in warnings(&admin.app, now) {
        let _ = writeln!(text, "warning: {warning}");
    }
    if reasons.is_empty() {
        return (StatusCode::OK, format!("ready\n{text}"));
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

/// What concerns single sites or devices.
fn warnings(app: &App, now: Timestamp) -> Vec<String> {
    let publication = app.published.current();
    let bad_sites = publication.bad_sites().iter().flat_map(|site| {
        let refusals = site.refusals.iter();
        refusals.map(move |refusal| format!("{site}: {}", refusal.causes_without_site()))
    });
    bad_sites.chain(warnings_beside_sites(app, now)).collect()
}

/// What concerns some devices only, and is no site's own trouble.
pub(super) fn warnings_beside_sites(app: &App, now: Timestamp) -> Vec<String> {
    let publication = app.published.current();
    let expired = expired(&publication, now, false);
    let rotation = rotation_refusals(&publication).filter(|_| !is_behind(&publication));
    let malformed_serials = publication.malformed_serials().iter();
    let credentials = app.call_in.iter();
    let credentials = credentials.flat_map(|it| it.authenticator.credential_problems());
    let store = store(app).map(|store| store.warnings()).unwrap_or_default();
    let store = store.iter().map(ToString::to_string);
    let call_in = app.call_in.as_ref();
    let knows_nobody = call_in.is_some_and(|it| it.knows_nobody());
    let nobody_known = knows_nobody.then(|| Warning::NobodyKnown.to_string());
    let delivery = call_in.and_then(|it| it.delivery_problem.lock().clone());
    let delivery =
        delivery.map(|why| format!("audits and alerts are stored but not delivered: {why}"));
    expired
        .chain(rotation)
        .chain(malformed_serials.map(ToString::to_string))
        .chain(credentials)
        .chain(nobody_known)
        .chain(store)
        .chain(delivery)
        .collect()
}

fn store(app: &App) -> Option<&Arc<dyn Store>> {
    app.call_in.as_ref().map(|it| &it.store)
}

/// Why no device is served, or nothing can be stored.
pub(super) fn reasons(app: &App, now: Timestamp) -> Vec<String> {
    let publication = app.published.current();
    let mut reasons: Vec<_> = expired(&publication, now, true).collect();
    if let Err(refusals) = publication.identity() {
        let withheld = refusals.iter();
        reasons.extend(withheld.map(|it| format!("the TLS listener refuses everybody: {it}")));
    }
    if is_behind(&publication) {
        reasons.extend(rotation_refusals(&publication));
    }
    let call_in = app.call_in.as_ref();
    if call_in.is_some_and(|it| it.authenticator.lacks_credentials()) {
        reasons.push("call-ins are not answered: the credentials file cannot be used".into());
    }
    match store(app).map(|store| store.health()) {
        Some(Health::Failing { reason }) => {
            reasons.push(format!("call-ins cannot be stored: {reason}"));
        }
        Some(Health::Opening) => reasons.push("the device store is being opened".into()),
        Some(Health::Writable) if is_full_for_all(app) => {
            let reason = "call-ins cannot be stored: the last tenth of the store is for registered devices, and none is registered";
            reasons.push(reason.into());
        }
        Some(Health::Writable) | None => {}
    }
    reasons
}

/// What keeps this host from following the root rotation.
fn rotation_refusals(publication: &Publication) -> impl Iterator<Item = String> {
    let refusals = publication.rotation_refusals();
    refusals.map(|it| format!("the root rotation is not followed here: {}", causes(it)))
}

/// Whether devices that have the new trust anchor already are not served.
fn is_behind(publication: &Publication) -> bool {
    let rotation = publication.rotation();
    rotation.is_some_and(|it| it.is_refused() && it.rotation().step != RotationStep::Prepared)
}

/// Whether only registered devices find room, and none is registered.
fn is_full_for_all(app: &App) -> bool {
    app.call_in.as_ref().is_some_and(|call_in| {
        let size = call_in.store.size();
        size.is_some_and(StoreSize::is_for_registered_only) && !call_in.registers_devices()
    })
}

/// Certificates that are over: those `for_all` devices, or those of some sites only.
fn expired(
    publication: &Publication,
    now: Timestamp,
    for_all: bool,
) -> impl Iterator<Item = String> {
    let has_valid_anchor = publication.has_valid_anchor_at(now);
    publication
        .expiries()
        .filter(move |it| it.validity.is_over(now))
        .filter(move |it| (it.is_sent || !has_valid_anchor) == for_all)
        .map(expired_certificate)
}

fn expired_certificate(expiry: &Expiry) -> String {
    let Expiry {
        role,
        subject,
        validity,
        ..
    } = expiry;
    format!(
        "{role} certificate `{subject}` expired at {}",
        validity.not_after
    )
}
