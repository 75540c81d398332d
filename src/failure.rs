//! Why something that was asked for was not done, for the console and for programs.

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use engage_wire::diagnostic::{causes, code, hint};

/// Why a command or a request failed: one error, or everything that a validation refused.
#[derive(Debug)]
pub(crate) struct Failure {
    errors: Vec<Box<dyn Diagnostic + Send>>,
    is_usage_error: bool,
}

impl Failure {
    /// All of `errors`, in their order.
    pub(crate) fn from_errors<E: Diagnostic + Send + 'static>(
        errors: impl IntoIterator<Item = E>,
    ) -> Self {
        Self {
            errors: errors
                .into_iter()
                .map(|error| Box::new(error) as _)
                .collect(),
            is_usage_error: false,
        }
    }

    /// Failed before the command could begin.
    pub(crate) fn into_usage_error(self) -> Self {
        Self {
            is_usage_error: true,
            ..self
        }
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = &(dyn Diagnostic + Send)> {
        self.errors.iter().map(|error| &**error)
    }

    pub(crate) fn is_usage_error(&self) -> bool {
        self.is_usage_error
    }
}

impl<E: Diagnostic + Send + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_errors([error])
    }
}

/// An error for programs.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ErrorEntry {
    /// Stable, in kebab case.
    pub(crate) code: String,
    /// With its causes.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
}

impl ErrorEntry {
    pub(crate) fn all<'a, E: Diagnostic + 'a>(
        errors: impl IntoIterator<Item = &'a E>,
    ) -> Vec<Self> {
        errors.into_iter().map(|it| Self::new(it)).collect()
    }

    pub(crate) fn new(error: &dyn Diagnostic) -> Self {
        Self {
            code: code(error),
            message: causes(error),
            hint: hint(error),
        }
    }
}
