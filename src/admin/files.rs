//! The files that `[admin]` names: whose tokens are known, and what the listener shakes hands with.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use miette::Diagnostic;
use rustls::ServerConfig;

use super::access::{TokenFile, TokenFileError};
use crate::check::Others;
use crate::config::AdminConfig;
use crate::failure::ErrorEntry;
use crate::secret_file::ReadableByOthers;
use crate::tls::{AdminIdentity, AdminIdentityError};
use engage_wire::pki::{Certificate, load_certificate_chain};

/// What stands in them.
pub(crate) struct AdminFiles {
    pub(crate) tokens: Option<TokenFile>,
    pub(crate) identity: Option<Arc<ServerConfig>>,
}

impl AdminFiles {
    /// Reads them, or says what is wrong with each.
    pub(crate) fn load(config: &AdminConfig) -> Result<Self, Vec<AdminFileError>> {
        let tokens = config.token_file.as_deref().map(TokenFile::load);
        let identity = config.identity();
        let identity = identity.map(|(certificate, key)| AdminIdentity::load(certificate, key));
        match (tokens.transpose(), identity.transpose()) {
            (Ok(tokens), Ok(identity)) => Ok(Self { tokens, identity }),
            (tokens, identity) => Err([
                tokens.err().map(AdminFileError::from),
                identity.err().map(AdminFileError::from),
            ]
            .into_iter()
            .flatten()
            .collect()),
        }
    }

    /// What `check` says of them: what a start or a reload would stumble over, and what should be known.
    pub(crate) fn check(config: &AdminConfig, now: Timestamp) -> Others {
        let refusals = Self::load(config).err().unwrap_or_default();
        Others {
            refusals: ErrorEntry::all(&refusals),
            warnings: ErrorEntry::all(&warnings(config, now)),
        }
    }
}

/// What the listener works with, and browsers or people would not like.
fn warnings(config: &AdminConfig, now: Timestamp) -> Vec<AdminWarning> {
    let Some((certificate, key)) = config.identity() else {
        return Vec::new();
    };
    let readable = ReadableByOthers::find("`[admin] private_key`", key);
    // One that cannot be read is refused.
    let chain = load_certificate_chain("admin certificate", certificate).unwrap_or_default();
    let validity = chain.first().map(Certificate::validity);
    let path = certificate.to_owned();
    let not_valid = validity.and_then(|it| {
        if it.is_over(now) {
            let not_after = it.not_after;
            Some(AdminWarning::Over { path, not_after })
        } else if it.is_early(now) {
            let not_before = it.not_before;
            Some(AdminWarning::Early { path, not_before })
        } else {
            None
        }
    });
    readable
        .map(AdminWarning::KeyReadable)
        .into_iter()
        .chain(not_valid)
        .collect()
}

/// What is wrong with a file.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum AdminFileError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tokens(#[from] TokenFileError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Identity(#[from] AdminIdentityError),
}

/// What a start does not say, and somebody should look at.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum AdminWarning {
    #[error(transparent)]
    #[diagnostic(transparent)]
    KeyReadable(ReadableByOthers),
    #[error("admin certificate `{}` was valid until {not_after}", path.display())]
    #[diagnostic(
        code("admin-certificate-over"),
        help("browsers and programs refuse it: put a new one in its place")
    )]
    Over { path: PathBuf, not_after: Timestamp },
    #[error("admin certificate `{}` is valid from {not_before} on", path.display())]
    #[diagnostic(
        code("admin-certificate-early"),
        help("browsers and programs refuse it until then; is this computer's clock right?")
    )]
    Early {
        path: PathBuf,
        not_before: Timestamp,
    },
}
