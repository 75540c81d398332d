//! Answers to what is not served: short, JSON, with a length.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// 404 for every unknown path; says nothing about what exists.
pub(super) async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#)
}

/// 405; the router adds the `Allow` header.
pub(super) async fn method_not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"error":"method not allowed"}"#,
    )
}

fn error(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
