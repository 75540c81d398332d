//! Answers, most of them to what is not served: short, JSON, with a length.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::Response;
use super::Route;
use super::asked::methods;

/// 200 with a body of `content_type`.
pub(super) fn found(content_type: &'static str, body: Bytes) -> Response {
    with_body(StatusCode::OK, content_type, body)
}

/// A status that says everything.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// 404 for every unknown path; says nothing about what exists.
pub(super) fn not_found() -> Response {
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
    let response = error(StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#);
    // RFC 9110 section 15.5.2: a 401 must name a scheme.
    let scheme = HeaderValue::from_static("Basic realm=\"engage-host\"");
    with_header(response, WWW_AUTHENTICATE, scheme)
}

/// 405, with the methods that are allowed (RFC 9110 section 15.5.6).
pub(super) fn method_not_allowed(route: Route) -> Response {
    let response = error(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"error":"method not allowed"}"#,
    );
    let names: Vec<_> = methods(route).iter().map(Method::as_str).collect();
    match HeaderValue::try_from(names.join(",")) {
        Ok(allowed) => with_header(response, ALLOW, allowed),
        Err(_) => response,
    }
}

fn error(status: StatusCode, body: &'static str) -> Response {
    with_body(status, JSON, Bytes::from_static(body.as_bytes()))
}

fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    // hyper keeps the map for the next request's head, as long as the connection is idle; the
    // first header would make room for six.
    *response.headers_mut() = HeaderMap::with_capacity(1);
    with_header(
        response,
        CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    )
}

fn with_header(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

pub(super) const JSON: &str = "application/json";
