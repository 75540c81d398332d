//! One event and one count for each request.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::response::Response;
use tracing::info;

use super::{Metrics, Route, SerialNumber};
use crate::connection::{Connection, Phase};

/// Around everything that answers: tells the socket where a request begins and ends, counts it,
/// and logs it once its answer is known.
pub async fn observe<A>(
    State(metrics): State<Arc<Metrics>>,
    route: Option<MatchedPath>,
    request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response
where
    A: Future<Output = Response>,
{
    let started = Instant::now();
    let Some(connection) = request.extensions().get::<Connection>().cloned() else {
        return answer(request).await;
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    connection.pacing.enter(Phase::Request);
    let response = answer(request).await;
    connection.pacing.enter(Phase::Idle);
    let Connection {
        listener,
        peer,
        tls,
        ..
    } = connection;
    let (path, status, duration) = (uri.path(), response.status().as_u16(), started.elapsed());
    let route = Route::of(route.as_ref().map(MatchedPath::as_str));
    metrics.answered(listener, route, status, duration);
    info!(
        target: "access",
        %listener,
        %peer,
        device.serial = uri.query().and_then(SerialNumber::from_query).map(tracing::field::display),
        tls = tls.map(|tls| tls.version),
        status,
        size_bytes = response.body().size_hint().exact(),
        duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        "{method} {path} -> {status}",
    );
    response
}

impl Route {
    fn of(template: Option<&str>) -> Self {
        match template {
            Some(crate::routes::ANNOUNCEMENT) => Self::Announcement,
            Some(crate::routes::CERTIFICATE) => Self::Certificate,
            _ => Self::Unknown,
        }
    }
}
