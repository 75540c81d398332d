//! Why deliveries cannot begin.

use std::borrow::Cow;
use std::path::PathBuf;

use rustls::pki_types::pem;

use super::secret::Secret;
use engage_wire::ReadError;
use engage_wire::diagnostic::Explain;

/// Why deliveries cannot begin: the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file of certificates is no PEM, or holds a certificate that cannot be an anchor.
    #[error("webhook ca_file `{}` cannot be used", path.display())]
    CaMalformed {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CaReason,
    },
    /// Nothing to verify an `https` receiver with.
    #[error("no trusted certificate authority is known, and the webhook url is https")]
    NoAuthority,
    /// The secret is too short, or the file holds something else.
    #[error(
        "webhook secret_file `{}` holds {found} bytes; allowed: {} to 4096",
        path.display(),
        Secret::MIN_BYTES
    )]
    SecretLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes without white space around it.
        found: usize,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What is wrong with the file of certificates.
#[derive(Debug, thiserror::Error)]
pub enum CaReason {
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

impl Explain for WebhookError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::CaMalformed { .. } => "webhook-ca-malformed".into(),
            Self::NoAuthority => "webhook-no-authority".into(),
            Self::SecretLength { .. } => "webhook-secret-length".into(),
            Self::Read(source) => Explain::code(source),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::CaMalformed { .. } => {
                "`ca_file` is one PEM file with the certificates that may sign the receiver's".into()
            }
            Self::NoAuthority => {
                "install the system's CA certificates, or name the receiver's with `[webhook] ca_file`"
                    .into()
            }
            Self::SecretLength { .. } => {
                "make one with `openssl rand -hex 32`, and give it to the receiver too".into()
            }
            Self::Read(source) => source.hint(),
        }
    }
}
