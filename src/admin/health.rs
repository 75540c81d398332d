//! `/readyz`: whether devices are served, and if not, whose trouble it is.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use super::Admin;
use crate::publication::Expiry;
use crate::routes::App;
use engage_store::Health;
use engage_wire::clock;
use jiff::Timestamp;

/// 200 while devices would accept what is served and what they deliver can be stored; 503 with a
/// line for each reason otherwise.
pub(super) async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    let reasons = reasons(&admin.app, clock::now());
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".into());
    }
    let mut text = String::new();
    for reason in reasons {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "not ready: {reason}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

fn reasons(app: &App, now: Timestamp) -> Vec<String> {
    let publication = app.published.current();
    let expired = publication
        .expiries()
        .iter()
        .filter(|it| it.not_after < now);
    let mut reasons: Vec<_> = expired.map(expired_certificate).collect();
    let health = app.call_in.as_ref().and_then(|call_in| call_in.health());
    if let Some(Health::Failing { reason }) = health {
        reasons.push(format!("call-ins cannot be stored: {reason}"));
    }
    reasons
}

fn expired_certificate(expiry: &Expiry) -> String {
    let Expiry {
        role,
        subject,
        not_after,
        ..
    } = expiry;
    format!("{role} certificate `{subject}` expired at {not_after}")
}
