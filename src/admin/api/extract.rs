//! What an operation is asked with, read whole or refused with a problem.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use miette::Diagnostic;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use super::problem::Refused;

/// The parameters of a path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(found) = found.map_err(|error| {
            let reason = error.body_text();
            Refused::new(StatusCode::BAD_REQUEST, &MalformedRequest::Path { reason })
        })?;
        Ok(Self(found))
    }
}

/// The parameters of a query: those that the operation has, each at most once.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let found = axum::extract::Query::try_from_uri(&parts.uri);
        let axum::extract::Query(found) = found.map_err(|error| {
            let reason = error.body_text();
            Refused::new(StatusCode::BAD_REQUEST, &MalformedRequest::Query { reason })
        })?;
        Ok(Self(found))
    }
}

/// A JSON body. What is wrong with it is told by its place: it may hold secrets.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        require_json(request.headers())?;
        let body = body(request, state).await?;
        let read = serde_json::from_slice(&body);
        read.map(Self).map_err(|error| malformed_body(&error))
    }
}

/// A JSON body as it came.
pub(super) struct RawJson(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        require_json(request.headers())?;
        body(request, state).await.map(Self)
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refused> {
    let read = Bytes::from_request(request, state).await;
    read.map_err(|error: BytesRejection| {
        let is_too_large = error.status() == StatusCode::PAYLOAD_TOO_LARGE;
        unread(is_too_large, error.body_text())
    })
}

/// A whole body of at most so many bytes.
pub(super) async fn whole(body: Body, max_bytes: usize) -> Result<Bytes, Refused> {
    let read = Limited::new(body, max_bytes).collect().await;
    read.map(Collected::to_bytes).map_err(|error| {
        let is_too_large = error.is::<LengthLimitError>();
        unread(is_too_large, error.to_string())
    })
}

fn unread(is_too_large: bool, reason: String) -> Refused {
    if is_too_large {
        return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, &MalformedRequest::TooLarge);
    }
    Refused::new(
        StatusCode::BAD_REQUEST,
        &MalformedRequest::Unread { reason },
    )
}

fn require_json(headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = given.unwrap_or_default().split(';').next();
    if essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Refused::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        &MalformedRequest::NotJson,
    ))
}

/// Without the values that `serde` quotes.
fn malformed_body(error: &serde_json::Error) -> Refused {
    let (line, column) = (error.line(), error.column());
    if error.is_data() {
        let reason = without_quoted(&error.to_string());
        return Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            &MalformedRequest::Body { reason },
        );
    }
    Refused::new(
        StatusCode::BAD_REQUEST,
        &MalformedRequest::Json { line, column },
    )
}

/// A text that was found where another was expected stands in double quotes.
fn without_quoted(reason: &str) -> String {
    match (reason.find('"'), reason.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}..{}", &reason[..first], &reason[last + 1..])
        }
        _ => reason.to_owned(),
    }
}

/// The value of a header that is there at most once.
pub(super) fn header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refused> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let malformed = || {
        let name = name.to_string();
        Refused::new(StatusCode::BAD_REQUEST, &MalformedRequest::Header { name })
    };
    if second.is_some() {
        return Err(malformed());
    }
    let text = first.map(|it| it.to_str().map(str::to_owned));
    text.transpose().map_err(|_| malformed())
}

/// Reads a parameter that is spelled as the command line has it.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Why a request is not read.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum MalformedRequest {
    #[error("the path is not one of this operation: {reason}")]
    #[diagnostic(
        code("malformed-path"),
        help("a device is named by its serial number or its IP address")
    )]
    Path { reason: String },
    #[error("the query cannot be read: {reason}")]
    #[diagnostic(
        code("malformed-query"),
        help("`/api/docs` shows the parameters of each operation")
    )]
    Query { reason: String },
    #[error("the body is longer than what this operation takes")]
    #[diagnostic(code("body-too-large"), help("`/api/docs` says how much it takes"))]
    TooLarge,
    #[error("the body did not arrive: {reason}")]
    #[diagnostic(code("unread-body"), help("send it again"))]
    Unread { reason: String },
    #[error("the body is not declared as JSON")]
    #[diagnostic(code("not-json"), help("send `Content-Type: application/json`"))]
    NotJson,
    #[error("the body is not JSON; the fault is in line {line}, column {column}")]
    #[diagnostic(code("malformed-json"), help("it is one JSON object in UTF-8"))]
    Json { line: usize, column: usize },
    #[error("the body is not what this operation takes: {reason}")]
    #[diagnostic(
        code("malformed-body"),
        help("`/api/docs` shows the members of each body")
    )]
    Body { reason: String },
    #[error("the header `{name}` cannot be read; allowed: once, in ASCII")]
    #[diagnostic(code("malformed-header"), help("correct it, or leave it out"))]
    Header { name: String },
}
