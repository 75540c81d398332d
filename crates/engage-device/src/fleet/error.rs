//! What goes wrong with a device's visit.

use std::fmt;

use miette::Diagnostic;
use serde::Serialize;

use super::super::{AnnouncementError, ConnectError, ExchangeError, ResponseError, TlsError};
use crate::ChainRefusal;
use engage_wire::pki::MalformedCertificate;
use engage_wire::pki::device_profile::Violation;

/// A step of a device's visit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VisitStep {
    /// What to install, in clear text.
    Announcement,
    /// The certificate itself.
    Certificate,
    /// TLS, trusting that certificate only.
    Handshake,
    /// Parameters of the device.
    Config,
    /// Its database.
    Database,
    /// Its events.
    Audit,
    /// One event, now and then.
    Alert,
}

impl VisitStep {
    /// In the order of a visit.
    pub const ALL: [Self; 7] = [
        Self::Announcement,
        Self::Certificate,
        Self::Handshake,
        Self::Config,
        Self::Database,
        Self::Audit,
        Self::Alert,
    ];
}

impl fmt::Display for VisitStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Announcement => "announcement",
            Self::Certificate => "certificate",
            Self::Handshake => "handshake",
            Self::Config => "config",
            Self::Database => "database",
            Self::Audit => "audit",
            Self::Alert => "alert",
        })
    }
}

/// Why a step of a device's visit failed.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum VisitError {
    /// The body is no announcement.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Announcement(#[from] AnnouncementError),
    /// What was downloaded is no certificate.
    #[error("the announced certificate cannot be read")]
    #[diagnostic(
        code("malformed-certificate"),
        help("a device expects DER: the bytes that the hash was made of")
    )]
    Certificate(#[from] MalformedCertificate),
    /// No connection.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectError),
    /// The answer to the question for the database.
    #[error("the database {0}")]
    #[diagnostic(
        code("database-answer"),
        help(
            "a device expects `dbDwnLdTm` of 14 digits, and `nxtDbVerTS` of `0x` and up to 16 or `0`"
        )
    )]
    Database(String),
    /// No answer.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Exchange(#[from] ExchangeError),
    /// The hash does not belong to the certificate.
    #[error(
        "the announced hash is {found}; expected `{expected}` for the certificate that is served"
    )]
    #[diagnostic(
        code("hash-mismatch"),
        help(
            "is it the site key of these devices, and was the hash made of the bytes that are served?"
        )
    )]
    Hash {
        /// As announced, as far as it can be shown.
        found: String,
        /// By the site key.
        expected: String,
    },
    /// An answer that a device does not process.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Response(#[from] ResponseError),
    /// An answer with another status.
    #[error("the answer is {found}; expected {expected}")]
    #[diagnostic(
        code("unexpected-status"),
        help("see the host's log for its side of the story")
    )]
    Status {
        /// The HTTP status that came instead.
        code: u16,
        /// The status line.
        found: String,
        /// What a device expects.
        expected: &'static str,
    },
    /// No session.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tls(#[from] TlsError),
    /// A certificate that a device does not install.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Violation(#[from] Violation),
}

impl VisitError {
    /// Whether the chain was refused, upon which a device asks again what it is to install (PROTOCOL.md section 1).
    pub(super) fn is_chain_refused(&self) -> bool {
        matches!(self, Self::Tls(TlsError::Refused { .. }))
    }

    /// Whether it costs nothing if the next attempt succeeds: the network, a host that is busy, and a chain of
    /// another trust anchor, which is how a host finds out which one a device has.
    pub(super) fn may_be_cured(&self) -> bool {
        match self {
            Self::Status { code, .. } => *code == 503,
            Self::Tls(TlsError::Refused { source, .. }) => {
                matches!(source, ChainRefusal::Violation(Violation::Chain(_)))
            }
            Self::Connect(_) | Self::Exchange(_) | Self::Tls(_) => true,
            _ => false,
        }
    }
}
