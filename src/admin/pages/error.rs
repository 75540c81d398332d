//! Why a page is not shown.

use axum::response::{Html, IntoResponse, Response};
use engage_store::StoreError;
use engage_wire::diagnostic::{causes, hint};
use http::StatusCode;

use super::layout::error_page;

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nothing was recorded, and nothing will be.
    #[error("call-ins are not answered here")]
    CallInsOff,
    /// What was asked for cannot be read.
    #[error("{field}: {problem}")]
    Malformed {
        /// The field of the form.
        field: &'static str,
        /// What is allowed.
        problem: String,
    },
    /// There is no such page, or no such device.
    #[error("nothing is at this address")]
    NotFound,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others take as much as there is for this.
    #[error("{0} downloads are under way, which is the limit")]
    TooManyDownloads(usize),
}

impl PageError {
    /// A field of a form that cannot be read.
    pub(super) fn malformed(field: &'static str, problem: &impl ToString) -> Self {
        Self::Malformed {
            field,
            problem: problem.to_string(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::CallInsOff | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::Store(_) | Self::TooManyDownloads(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::CallInsOff => "Nothing is recorded",
            Self::Malformed { .. } => "That cannot be searched for",
            Self::NotFound => "Not found",
            Self::Store(_) => "The store does not answer",
            Self::TooManyDownloads(_) => "Too many downloads",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::CallInsOff => "set `[devices] directory` to have call-ins recorded".into(),
            Self::Malformed { .. } => "go back and correct it".into(),
            Self::NotFound => "was the device removed, or the address mistyped?".into(),
            Self::Store(error) => hint(error),
            Self::TooManyDownloads(_) => "try again when one has ended".into(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let page = error_page(self.title(), &causes(&self), &self.hint());
        (self.status(), Html(page.into_string())).into_response()
    }
}
