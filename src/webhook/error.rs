//! Why deliveries cannot begin.

use std::path::PathBuf;

use miette::Diagnostic;

use super::secret::SecretError;
use crate::http_client::{AuthoritiesError, CaError};
use engage_wire::ReadError;

/// Why deliveries cannot begin: the daemon does not start.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum WebhookError {
    /// The file of certificates is no PEM, or holds a certificate that cannot be an anchor.
    #[error("webhook ca_file `{}` cannot be used", path.display())]
    #[diagnostic(
        code("webhook-ca-malformed"),
        help("`ca_file` is one PEM file with the certificates that may sign the receiver's")
    )]
    CaMalformed {
        /// The path that `[webhook] ca_file` names.
        path: PathBuf,
        /// The reason.
        source: CaError,
    },
    /// Nothing to verify an `https` receiver with.
    #[error("no trusted certificate authority is known, and the webhook url is https")]
    #[diagnostic(
        code("webhook-no-authority"),
        help(
            "install the system's CA certificates, or name the receiver's with `[webhook] ca_file`"
        )
    )]
    NoAuthority,
    /// The secret cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secret(#[from] SecretError),
    /// The file of certificates cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
}

impl From<AuthoritiesError> for WebhookError {
    fn from(error: AuthoritiesError) -> Self {
        match error {
            AuthoritiesError::Unreadable(error) => Self::Unreadable(error),
            AuthoritiesError::Malformed { path, source } => Self::CaMalformed { path, source },
            AuthoritiesError::None => Self::NoAuthority,
        }
    }
}
