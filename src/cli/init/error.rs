//! Why nothing was made.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use engage_wire::diagnostic::Explain;
use engage_wire::limits::MAX_CHAIN_BYTES;
use engage_wire::pki::issue::IssueError;
use engage_wire::pki::{ChainError, LoadError};
use engage_wire::site::KeyFileError;

/// Why nothing was made. Whatever it is, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InitError {
    /// An announced certificate cannot be made again.
    #[error(
        "announced certificate `{}` is missing, but `{}`, which was issued under it, exists",
        anchor.display(),
        below.display()
    )]
    AnchorLost { anchor: PathBuf, below: PathBuf },
    /// Another one is at work.
    #[error("another `engage-host init` is at work in `{}`", folder.display())]
    Busy { folder: PathBuf },
    /// The configuration that exists cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused.
    #[error("failed to {action} `{}`", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A certificate without its key, or the reverse.
    #[error("`{}` exists, but `{}` does not: they are a pair", exists.display(), missing.display())]
    HalfPair { exists: PathBuf, missing: PathBuf },
    /// Issuing failed.
    #[error("failed to issue {what}")]
    Issue {
        what: &'static str,
        source: IssueError,
    },
    /// An existing authority cannot sign.
    #[error("private key `{}` cannot sign for `{}`", key.display(), certificate.display())]
    IssuerKey {
        key: PathBuf,
        certificate: PathBuf,
        source: IssueError,
    },
    /// A file that exists cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What exists does not belong together.
    #[error("a new `{}` would not be accepted by every device", server.display())]
    NotOneChain {
        server: PathBuf,
        source: Box<ChainError>,
    },
    /// Another key than the given one is in place.
    #[error(
        "site key `{}` exists and is another key than the given `{}`",
        existing.display(),
        given.display()
    )]
    OtherSiteKey { given: PathBuf, existing: PathBuf },
    /// The root's key was moved away, as it should be.
    #[error(
        "a new intermediate must be issued by `{}`, but its private key `{}` is not there",
        root.display(),
        key.display()
    )]
    RootKeyAway { root: PathBuf, key: PathBuf },
    /// A site key cannot be used.
    #[error(transparent)]
    SiteKey(#[from] KeyFileError),
    /// Too many or too long names.
    #[error(
        "server certificate, intermediate and root would have {found} bytes; allowed: {MAX_CHAIN_BYTES}"
    )]
    TooLarge { found: usize },
    /// One given key, several files.
    #[error(
        "`--site-key-file {}` gives one key, but the configuration names {key_files} key files",
        given.display()
    )]
    WhichSite { given: PathBuf, key_files: usize },
}

impl InitError {
    pub(super) fn anchor_lost(anchor: &Path, below: &Path) -> Self {
        Self::AnchorLost {
            anchor: anchor.to_owned(),
            below: below.to_owned(),
        }
    }

    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source: without_path(source),
        }
    }

    pub(super) fn issuing(what: &'static str) -> impl Fn(IssueError) -> Self {
        move |source| Self::Issue { what, source }
    }
}

impl Explain for InitError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::AnchorLost { .. } => "anchor-lost".into(),
            Self::Busy { .. } => "busy".into(),
            Self::Config(error) => error.code(),
            Self::File { .. } => "unusable-file".into(),
            Self::HalfPair { .. } => "half-pair".into(),
            Self::Issue { .. } => "not-issued".into(),
            Self::IssuerKey { .. } => "key-mismatch".into(),
            Self::Load(error) => error.code(),
            Self::NotOneChain { .. } => "chain".into(),
            Self::OtherSiteKey { .. } => "other-site-key".into(),
            Self::RootKeyAway { .. } => "root-key-away".into(),
            Self::SiteKey(error) => error.code(),
            Self::TooLarge { .. } => "chain-too-large".into(),
            Self::WhichSite { .. } => "which-site".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::AnchorLost { below, .. } => format!(
                "bring it back from a backup, or from a running host with `curl`; to begin anew, with another root \
                 on every device, move away `{}` and every other key and certificate beside it",
                below.display()
            ),
            Self::Busy { .. } => "wait for it, then run this again".into(),
            Self::Config(error) => error.hint(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run this as the user that owns the folder and that will run the daemon".into()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "something else made it in the meantime; nothing was overwritten: run this again".into()
            }
            Self::File { .. } => "is the folder writable, and is there room on the disk?".into(),
            Self::HalfPair { exists, .. } => format!(
                "bring the other half back, or move `{}` away so that both are made anew",
                exists.display()
            ),
            Self::Issue { source: IssueError::IssuerExpired { .. }, .. } => {
                "move the expired authority's key and certificate away; a new root has to be installed on every device"
                    .into()
            }
            Self::Issue { .. } => "try again; if it stays, this is a fault of engage-host".into(),
            Self::IssuerKey { .. } => {
                "bring the right key back; compare `openssl pkey -in KEY -pubout` with \
                 `openssl x509 -inform der -in CERTIFICATE -noout -pubkey`"
                    .into()
            }
            Self::Load(error) => error.hint(),
            Self::NotOneChain { source, .. } => source.hint(),
            Self::OtherSiteKey { .. } => {
                "a site key can never be changed once the ENGAGE site exists: find out which is the site's, \
                 and move the other away"
                    .into()
            }
            Self::RootKeyAway { key, .. } => format!(
                "bring `{}` back for this one command, then take it offline again",
                key.display()
            ),
            Self::SiteKey(error) => error.hint(),
            Self::TooLarge { .. } => {
                "name fewer or shorter hosts: each `--host` replaces what would be found by itself".into()
            }
            Self::WhichSite { .. } => "copy the key to the file of the site that it belongs to".into(),
        }
    }
}

/// The operating system's own error: `fs_err` names the path again, and here a temporary one.
fn without_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    inner
        .and_then(|inner| inner.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
        .map_or(error, io::Error::from_raw_os_error)
}
