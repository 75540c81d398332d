//! The answer to callers outside `[access] allow`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::answer;
use crate::connection::Connection;

/// Answers nobody else.
pub(super) async fn only_allowed(request: Request, next: Next) -> Response {
    // Every connection says so at the doorway; a request without one has passed none.
    let connection = request.extensions().get::<Connection>();
    if connection.is_some_and(|connection| connection.allowed) {
        next.run(request).await
    } else {
        answer::unauthorized()
    }
}
