//! Answers that say why there is no other: short, JSON, with a length.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::JSON;

/// Why a request is not answered with what it asks for. Says nothing about what exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ApiError {
    /// 400: a body that is not understood.
    BadRequest,
    /// 500: a fault of this program.
    Internal,
    /// 400 and the end of the connection: a request that is none, did not arrive whole, or that others
    /// could read in another way.
    Malformed,
    /// 405. The router adds the methods that are allowed (RFC 9110 section 15.5.6).
    MethodNotAllowed,
    /// 503: bodies in flight have the memory that there is for all of them.
    NoBodyMemory,
    /// 404: every unknown path.
    NotFound,
    /// 503: a device or a network brought as much as may be stored of it within a day.
    OverDayBudget,
    /// 503: what the site is configured to announce would be rejected.
    SiteWithheld,
    /// 503: nothing was stored, so nothing is acknowledged.
    StorageUnavailable,
    /// 503: the store takes as much of the disk as it may.
    StoreFull,
    /// 503: a device that nobody knows yet, where too many are known or come.
    TooManyNewDevices,
    /// 503: a device that is not registered, where only those are answered. It keeps what it has, which
    /// is not known of 404 and 401 (docs/CALL-IN.md).
    UnknownDevice,
    /// 401 and not 403, after which some firmware stops retrying (PROTOCOL.md section 3).
    Unauthorized,
}

/// Of a response: the limit that refused it, which is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedBy(pub(super) &'static str);

impl ApiError {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest | Self::Malformed => {
                (StatusCode::BAD_REQUEST, r#"{"error":"bad request"}"#)
            }
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                r#"{"error":"internal error"}"#,
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                r#"{"error":"method not allowed"}"#,
            ),
            Self::NoBodyMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"too many requests in flight"}"#,
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, r#"{"error":"not found"}"#),
            Self::OverDayBudget => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"too much within a day"}"#,
            ),
            Self::SiteWithheld => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"site unavailable"}"#,
            ),
            Self::StorageUnavailable | Self::StoreFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"storage unavailable"}"#,
            ),
            Self::TooManyNewDevices => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"too many new devices"}"#,
            ),
            Self::UnknownDevice => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"error":"unknown device"}"#,
            ),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        let mut response = with_type(&JSON, Body::from(body));
        *response.status_mut() = status;
        match self {
            Self::Malformed => {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Self::Unauthorized => {
                // RFC 9110 section 15.5.2: a 401 must name a scheme.
                let scheme = HeaderValue::from_static("Basic realm=\"engage-host\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            Self::OverDayBudget => {
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, HeaderValue::from_static("3600"));
                response.extensions_mut().insert(RefusedBy(DEVICE_DAY));
            }
            Self::SiteWithheld => {
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            Self::NoBodyMemory => {
                response.extensions_mut().insert(RefusedBy(BODY_MEMORY));
            }
            Self::StoreFull => {
                response.extensions_mut().insert(RefusedBy(MAX_STORE));
            }
            Self::TooManyNewDevices => {
                response.extensions_mut().insert(RefusedBy(NEW_DEVICES));
            }
            Self::UnknownDevice => {
                response.extensions_mut().insert(RefusedBy(ONLY_KNOWN));
            }
            _ => {}
        }
        response
    }
}

/// 200 with a body of `content_type`.
pub(super) fn with_type(content_type: &HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    // hyper keeps the map for the next request's head, as long as the connection is idle: no more
    // room than for this header and the length.
    *response.headers_mut() = HeaderMap::with_capacity(2);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, content_type.clone());
    response
}

/// Its key in `[limits]`, and its label in metrics.
pub(super) const BODY_MEMORY: &str = "body_memory_bytes";

/// Likewise.
pub(super) const DEVICE_DAY: &str = "device_day_bytes";

/// Likewise, in `[devices]`.
const MAX_STORE: &str = "max_store_bytes";

/// In metrics, the limit of devices that nobody knows yet (docs/CALL-IN.md).
const NEW_DEVICES: &str = "new_devices";

/// Its key in `[devices]`.
const ONLY_KNOWN: &str = "only_known";

/// Mended files are noticed within seconds, by people within minutes.
const RETRY_AFTER_SECONDS: &str = "60";
