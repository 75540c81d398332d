//! One event and one count for each request.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::response::Response;
use tracing::info;

use super::Metrics;
use crate::connection::{Connection, Phase};
use crate::devices::{DeviceId, SerialNumber};
use crate::routes::counted_as;

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
    let route = counted_as(route.as_ref().map(MatchedPath::as_str));
    metrics.answered(listener, route, status, duration);
    let device = response
        .extensions()
        .get::<DeviceId>()
        .map(DeviceId::to_string);
    let serial = device.or_else(|| Some(SerialNumber::from_query(uri.query()?)?.to_string()));
    info!(
        target: "access",
        %listener,
        %peer,
        device.serial = serial,
        tls = tls.map(|tls| tls.version),
        status,
        size_bytes = response.body().size_hint().exact(),
        duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        "{method} {path} -> {status}",
    );
    response
}
