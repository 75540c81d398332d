//! Refusals as programs read them: problem details (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Uri};
use miette::Diagnostic;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{ErrorEntry, Failure};

/// Serialises as `application/problem+json`, with the code and the hint of the command line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What failed, with its causes.
    detail: String,
    /// Stable, in kebab case; the command line has the same.
    code: String,
    /// What to do.
    hint: String,
    /// Every one of them, where several things are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorEntry>,
}

/// Why an operation was not done; answered as a [`Problem`].
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    errors: Vec<ErrorEntry>,
}

impl Refused {
    /// Answered with this status, whatever the code says.
    pub(super) fn new(status: StatusCode, error: &dyn Diagnostic) -> Self {
        Self {
            status,
            errors: vec![ErrorEntry::new(error)],
        }
    }
}

#[cfg(test)]
impl Refused {
    /// Of the first error.
    pub(super) fn code(&self) -> &str {
        &self.errors[0].code
    }
}

impl<E: Diagnostic + Send + 'static> From<E> for Refused {
    fn from(error: E) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let errors: Vec<_> = failure.errors().map(|it| ErrorEntry::new(it)).collect();
        let code = errors.first().map(|it| it.code.as_str());
        Self {
            status: status(code.unwrap_or_default()),
            errors,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, errors } = self;
        let (mut detail, mut code, mut hint) = Default::default();
        if let Some(first) = errors.first() {
            ErrorEntry {
                message: detail,
                code,
                hint,
            } = first.clone();
        }
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail,
            code,
            hint,
            errors: if errors.len() > 1 { errors } else { Vec::new() },
        };
        let Ok(json) = serde_json::to_string(&problem) else {
            unreachable!("texts and a number are JSON");
        };
        let mut answer = (status, [(CONTENT_TYPE, PROBLEM_JSON)], json).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
        answer
    }
}

/// An answer that says why there is no other.
pub(in crate::admin) fn problem(status: StatusCode, error: &dyn Diagnostic) -> Response {
    Refused::new(status, error).into_response()
}

/// Whose fault a refusal is.
fn status(code: &str) -> StatusCode {
    match code {
        "unknown-site-name" | "unknown-device" | "no-database" | "no-credential"
        | "no-rotation" => StatusCode::NOT_FOUND,
        "site-exists"
        | "host-taken"
        | "serial-taken"
        | "other-key"
        | "key-in-use"
        | "only-site"
        | "site-in-config"
        | "no-sites-dir"
        | "keys-unknown"
        | "key-is-link"
        | "not-recorded"
        | "database-dropped"
        | "site-unusable"
        | "no-credentials-file"
        | "only-credential" => StatusCode::CONFLICT,
        "invalid-page-token" | "malformed-wait" => StatusCode::BAD_REQUEST,
        "changed-meanwhile" => StatusCode::PRECONDITION_FAILED,
        "store-busy" | "store-closed" | "store-full" | "store-opening" | "store-unavailable"
        | "database-unusable" | "no-store" | "operations-busy" | "too-many-followers"
        | "stopping" => StatusCode::SERVICE_UNAVAILABLE,
        "unusable-file" | "not-removed" | "not-issued" | "no-randomness" | "store-panicked"
        | "malformed-row" | "system" | "operation-panicked" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

pub(super) async fn not_found(uri: Uri) -> Response {
    let path = uri.path().chars().take(MAX_SHOWN_CHARS).collect();
    problem(StatusCode::NOT_FOUND, &NotFound(path))
}

/// The router says in `Allow` which methods there are.
pub(super) async fn method_not_allowed() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, &MethodNotAllowed)
}

/// A path that no operation has.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("nothing is at `{0}`")]
#[diagnostic(
    code("not-found"),
    help("`/api/openapi.json` describes every operation, `/api/docs` shows them")
)]
struct NotFound(String);

#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("no operation of this path has this method")]
#[diagnostic(
    code("method-not-allowed"),
    help("the header `Allow` of this answer lists those that there are")
)]
struct MethodNotAllowed;

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// The store opens, or a lock is let go of, within seconds.
const RETRY_AFTER_SECONDS: &str = "5";

const MAX_SHOWN_CHARS: usize = 200;
