//! The answer to callers outside `[access] allow`.

use axum::Extension;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::answer;
use crate::connection::Connection;

/// Middleware that answers nobody else.
pub(super) async fn only_allowed(
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    if connection.allowed {
        next.run(request).await
    } else {
        answer::unauthorized()
    }
}
