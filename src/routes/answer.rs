//! Answers to what is not served: short, JSON, with a length.

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// 404 for every unknown path; says nothing about what exists.
pub(super) async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#)
}

/// 400 for a body that is not understood.
pub(super) fn bad_request() -> Response {
    error(StatusCode::BAD_REQUEST, r#"{"error":"bad request"}"#)
}

/// 503: nothing was stored, so nothing is acknowledged.
pub(super) fn storage_unavailable() -> Response {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        r#"{"error":"storage unavailable"}"#,
    )
}

/// 401 and not 403, after which some firmware stops retrying (PROTOCOL.md section 3).
pub(super) fn unauthorized() -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#);
    // RFC 9110 section 15.5.2: a 401 must name a scheme.
    let scheme = HeaderValue::from_static("Basic realm=\"engage-host\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
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
