//! One event for each request.

use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::info;

use crate::connection::Connection;
use crate::devices::SerialNumber;

/// Middleware that logs a request once its answer is known.
pub async fn log_access(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let connection = request.extensions().get::<Connection>().copied();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let Some(Connection {
        listener,
        peer,
        tls,
    }) = connection
    else {
        return response;
    };
    let (path, status) = (uri.path(), response.status().as_u16());
    info!(
        target: "access",
        listener = %listener,
        peer = %peer,
        device.serial = uri.query().and_then(SerialNumber::from_query).map(tracing::field::display),
        tls = tls.map(|tls| tls.version),
        status,
        size_bytes = response.body().size_hint().exact(),
        duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "{method} {path} -> {status}",
    );
    response
}
