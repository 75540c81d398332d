//! Why deliveries cannot begin.

use std::path::PathBuf;

use miette::Diagnostic;
use rustls::pki_types::pem;

use super::secret::Secret;
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
        /// The file.
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
    /// The secret is too short, or the file holds something else.
    #[error(
        "webhook secret_file `{}` holds {found} bytes; allowed: {} to {}",
        path.display(),
        Secret::MIN_BYTES,
        Secret::MAX_BYTES
    )]
    #[diagnostic(
        code("webhook-secret-length"),
        help("make one with `openssl rand -hex 32`, and give it to the receiver too")
    )]
    SecretLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes without white space around it.
        found: usize,
    },
    /// A file of the webhook's cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
}

/// What is wrong with the file of certificates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    /// No certificate at all.
    #[error("it holds no PEM certificate")]
    Empty,
    /// Damaged PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// Damaged DER.
    #[error(transparent)]
    Anchor(#[from] rustls::Error),
}
