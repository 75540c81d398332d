//! Refusals as programs read them: problem details (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use miette::Diagnostic;
use serde::Serialize;

use engage_wire::diagnostic::{causes, code, hint};

/// Serialises as `application/problem+json`, with the code and the hint of the command line.
#[derive(Debug, Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    code: String,
    hint: String,
}

/// An answer that says why there is no other.
pub(in crate::admin) fn problem(status: StatusCode, error: &dyn Diagnostic) -> Response {
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: causes(error),
        code: code(error),
        hint: hint(error),
    };
    let Ok(json) = serde_json::to_string(&problem) else {
        unreachable!("texts and a number are JSON");
    };
    let content_type = (CONTENT_TYPE, "application/problem+json");
    (status, [content_type], json).into_response()
}

pub(super) async fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, &NotFound)
}

/// A path that no operation has.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("nothing is at this path")]
#[diagnostic(code("not-found"), help("the API's operations are below `/api/v1`"))]
struct NotFound;
