//! The admin listener: health and metrics, never on the devices' ports.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;

use crate::devices::Health;
use crate::pki::Timestamp;
use crate::publication::{Expiry, Published};
use crate::routes::CallIn;
use crate::telemetry::Metrics;

/// What the admin listener answers from.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) published: Published,
    pub(super) metrics: Arc<Metrics>,
    pub(super) call_in: Option<Arc<CallIn>>,
}

impl FromRef<Admin> for Arc<Metrics> {
    fn from_ref(admin: &Admin) -> Self {
        Arc::clone(&admin.metrics)
    }
}

/// Serves until `handle` is told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    admin: Admin,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    let mut server = axum_server::from_tcp(listener)?.http1_only().handle(handle);
    server
        .http_builder()
        .http1()
        .header_read_timeout(Duration::from_secs(15))
        .half_close(true);
    server.serve(router.into_make_service()).await
}

/// The process is alive: it answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Devices would accept what is served now, and what they deliver can be stored.
async fn readyz(State(admin): State<Admin>) -> Response {
    let publication = admin.published.current();
    let now = Timestamp::now();
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
    let health = admin.call_in.and_then(|call_in| call_in.health());
    if let Some(Health::Failing { reason }) = health {
        let _ = writeln!(reasons, "not ready: call-ins cannot be stored: {reason}");
    }
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons).into_response()
}

async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPEN_METRICS)], metrics.text()).into_response()
}
