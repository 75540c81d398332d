//! Why traces cannot be exported.

use std::path::PathBuf;

use miette::Diagnostic;

use crate::http_client::{AuthoritiesError, CaError};
use engage_wire::ReadError;

/// Why traces cannot be exported: everything else goes on.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum OtlpError {
    /// The file of certificates is no PEM, or holds a certificate that cannot be an anchor.
    #[error("otlp ca_file `{}` cannot be used", path.display())]
    #[diagnostic(
        code("otlp-ca-malformed"),
        help("`ca_file` is one PEM file with the certificates that may sign the collector's")
    )]
    CaMalformed {
        /// The path that `[otlp] ca_file` names.
        path: PathBuf,
        /// The reason.
        source: CaError,
    },
    /// A line is no header field, or one that is not the operator's to set. Its text may be a secret.
    #[error("line {line} of otlp headers_file `{}` is no header field that can be sent", path.display())]
    #[diagnostic(
        code("otlp-header-malformed"),
        help(
            "a line is `Name: value`, such as `Authorization: Bearer ..`; `#` starts a comment; not Host, Connection, Content-* or Transfer-Encoding"
        )
    )]
    HeaderMalformed {
        /// The path that `[otlp] headers_file` names.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Nothing to verify an `https` collector with.
    #[error("no trusted certificate authority is known, and the otlp endpoint is https")]
    #[diagnostic(
        code("otlp-no-authority"),
        help(
            "install the system's CA certificates, or name the collector's with `[otlp] ca_file`"
        )
    )]
    NoAuthority,
    /// A file of `[otlp]` cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
}

impl From<AuthoritiesError> for OtlpError {
    fn from(error: AuthoritiesError) -> Self {
        match error {
            AuthoritiesError::Malformed { path, source } => Self::CaMalformed { path, source },
            AuthoritiesError::None => Self::NoAuthority,
            AuthoritiesError::Unreadable(error) => Self::Unreadable(error),
        }
    }
}
