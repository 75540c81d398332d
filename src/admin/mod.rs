//! The admin listener: health and metrics, never on the devices' ports.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::publication::Expiry;
use crate::routes::App;
use engage_store::Health;
use engage_wire::clock;

/// What the admin listener serves.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(async || text(StatusCode::OK, "ok\n".into())),
        )
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(app))
}

/// Devices would accept what is served now, and what they deliver can be stored.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let publication = app.published.current();
    let now = clock::now();
    let mut reasons = String::new();
    for Expiry {
        role,
        subject,
        not_after,
        ..
    } in publication.expiries()
    {
        if *not_after < now {
            let _ = writeln!(
                reasons,
                "not ready: {role} certificate `{subject}` expired at {not_after}"
            );
        }
    }
    let health = app.call_in.as_ref().and_then(|call_in| call_in.health());
    if let Some(Health::Failing { reason }) = health {
        let _ = writeln!(reasons, "not ready: call-ins cannot be stored: {reason}");
    }
    if reasons.is_empty() {
        return text(StatusCode::OK, "ready\n".into());
    }
    text(StatusCode::SERVICE_UNAVAILABLE, reasons)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPEN_METRICS)], app.metrics.open_metrics()).into_response()
}

fn text(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
