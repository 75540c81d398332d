//! What can be wrong with the certificates of a handshake, in words.

use std::fmt;
use std::path::PathBuf;

use miette::{Diagnostic, Severity};

use super::Defect;
use crate::limits::{MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};
use crate::pki::{ChainError, Role};

/// Which certificate: its role, its subject and, if it is known, its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateName {
    pub(super) role: Role,
    pub(super) subject: String,
    pub(super) file: Option<PathBuf>,
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificate `{}`", self.role, self.subject)?;
        match &self.file {
            Some(file) => write!(f, " in `{}`", file.display()),
            None => Ok(()),
        }
    }
}

/// One thing that is held against certificates.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// Something about one certificate.
    #[error("{0} {1}")]
    #[diagnostic(forward(1))]
    Certificate(CertificateName, Defect),

    /// Out of order, or it does not lead to the trust anchor.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Chain(#[from] Box<ChainError>),

    /// More bytes than a device accepts.
    #[error("the chain has {found} bytes ({sum}); a device accepts at most {MAX_CHAIN_BYTES}")]
    #[diagnostic(
        code("chain-too-large"),
        help(
            "issue the chain again with shorter names and fewer extensions, or without an intermediate; \
             `engage-host init` makes one of about 2,700 bytes"
        )
    )]
    ChainTooLarge {
        /// DER total in bytes.
        found: usize,
        /// The parts of the total.
        sum: String,
    },

    /// With its framing, of so many bytes, the chain is larger than a device accepts without it.
    #[error(
        "the chain makes a TLS Certificate message of {0} bytes with its framing, more than {MAX_CHAIN_BYTES}"
    )]
    #[diagnostic(
        severity(Warning),
        code("tls-message-large"),
        help(
            "a device that counts the framing too would fail; issue the chain with shorter names"
        )
    )]
    CertificateMessageLarge(usize),

    /// So many bytes of DER leave little room for a renewal.
    #[error(
        "the chain has {0} bytes, close to the limit of {MAX_CHAIN_BYTES} (warned above {TIGHT_CHAIN_BYTES})"
    )]
    #[diagnostic(
        severity(Warning),
        code("chain-tight"),
        help("a renewal with a longer name may not fit; issue the chain with shorter names")
    )]
    ChainTight(usize),

    /// A device counts a root, of this subject, that is not known here.
    #[error("the root `{0}` above the chain is not known, so its bytes are missing from the count")]
    #[diagnostic(
        severity(Warning),
        code("root-not-counted"),
        help("a device counts it: name its file as `[https] root = \"..\"`")
    )]
    RootNotCounted(String),
}

impl Violation {
    /// Whether a device refuses; otherwise it is for a person to look at.
    pub fn is_refusal(&self) -> bool {
        self.severity()
            .is_none_or(|severity| severity == Severity::Error)
    }

    /// Whether it may go away by itself, and may have come by itself.
    pub fn is_about_time(&self) -> bool {
        use Defect::{Expired, NotYetValid};

        matches!(
            self,
            Self::Certificate(_, Expired { .. } | NotYetValid { .. })
        )
    }
}
