//! The admin listener: health and metrics, never on the devices' ports.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tracing::warn;

use super::accepting::Reception;
use crate::publication::Expiry;
use crate::routes::{App, Response};
use crate::telemetry::LogThrottle;
use engage_store::Health;
use engage_wire::pki::Timestamp;

/// Answers on the admin listener.
pub(super) struct Admin {
    app: Arc<App>,
    failures: LogThrottle,
}

impl Admin {
    pub(super) fn of(app: &Arc<App>) -> Self {
        Self {
            app: Arc::clone(app),
            failures: LogThrottle::default(),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response {
        let answer: fn(&App) -> Response = match path {
            "/healthz" => |_| text(StatusCode::OK, "ok\n"),
            "/readyz" => readyz,
            "/metrics" => metrics,
            _ => return status(StatusCode::NOT_FOUND),
        };
        if [Method::GET, Method::HEAD].contains(method) {
            return answer(&self.app);
        }
        let mut refused = status(StatusCode::METHOD_NOT_ALLOWED);
        let allowed = HeaderValue::from_static("GET,HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        refused
    }
}

/// Few ask here, and none of them devices: 15 seconds from an answer to the end of the next head.
pub(super) fn profile() -> http1::Builder {
    let mut profile = http1::Builder::new();
    profile
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(15))
        .half_close(true);
    profile
}

impl Reception for Admin {
    type Stream = TcpStream;
    type Service = Arc<Self>;

    async fn receive(
        self: Arc<Self>,
        socket: TcpStream,
        _peer: SocketAddr,
    ) -> Option<(TcpStream, Arc<Self>)> {
        Some((socket, self))
    }

    fn accept_failed(&self, error: &io::Error) {
        if let Some(others) = self.failures.check() {
            warn!(
                listener = "admin",
                others = others.count(),
                "admin listener cannot accept connections: {error}; trying again{others}"
            );
        }
    }
}

impl Service<Request<Incoming>> for Admin {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

/// Devices would accept what is served now, and what they deliver can be stored.
fn readyz(app: &App) -> Response {
    let publication = app.published.current();
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
    let health = app.call_in.as_ref().and_then(|call_in| call_in.health());
    if let Some(Health::Failing { reason }) = health {
        let _ = writeln!(reasons, "not ready: call-ins cannot be stored: {reason}");
    }
    if reasons.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, reasons)
}

fn metrics(app: &App) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    with_type(StatusCode::OK, OPEN_METRICS, app.metrics.open_metrics())
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    with_type(status, "text/plain; charset=utf-8", text)
}

fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
