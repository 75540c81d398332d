//! What a device would reject, so that it is not published.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::tls::KeyMismatch;
use engage_wire::diagnostic::{Explain, explained};
use engage_wire::limits::{MAX_CHAIN_BYTES, MAX_KEY_BITS, MIN_RSA_BITS};
use engage_wire::pki::{ChainError, LoadError, PublicKey, Role};
use engage_wire::site::{CertUrlError, KeyFileError, SiteName};
use jiff::Timestamp;

/// Why something cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The URL of a site's certificate is too long.
    #[error("site `{site}`")]
    CertUrl {
        /// The site.
        site: SiteName,
        /// Found and allowed.
        source: CertUrlError,
    },
    /// The server's chain is not one, or does not lead to a site's announced certificate.
    #[error("chain `{}`{}", path.display(), for_site(site.as_ref()))]
    Chain {
        /// The server's PEM file.
        path: PathBuf,
        /// The site whose announcement does not fit, if it is about one.
        site: Option<SiteName>,
        /// What is wrong.
        source: ChainError,
    },
    /// More bytes than a device accepts.
    #[error(
        "chain `{}`{} has {found} bytes ({sum}); a device accepts at most {MAX_CHAIN_BYTES}",
        path.display(),
        for_site(Some(site))
    )]
    ChainTooLarge {
        /// The server's PEM file.
        path: PathBuf,
        /// The first site that it is too large for.
        site: SiteName,
        /// DER total in bytes.
        found: usize,
        /// The parts of the total.
        sum: String,
    },
    /// A certificate's time is over.
    #[error("{role} certificate `{subject}` in `{}` expired at {not_after}; now is {now}", path.display())]
    Expired {
        /// Its role.
        role: Role,
        /// Its subject.
        subject: String,
        /// Its file.
        path: PathBuf,
        /// Its last second.
        not_after: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },
    /// The private key does not fit.
    #[error("private key `{}` cannot be used", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: KeyMismatch,
    },
    /// A key that is too long for a device, or too short for this server.
    #[error(
        "{role} certificate `{subject}` in `{}` has a key of {key} bits; allowed: {}",
        path.display(),
        if MIN_RSA_BITS == MAX_KEY_BITS { format!("RSA {MAX_KEY_BITS}") } else { format!("RSA {MIN_RSA_BITS} to {MAX_KEY_BITS}") }
    )]
    KeySize {
        /// Its role.
        role: Role,
        /// Its subject.
        subject: String,
        /// Its file.
        path: PathBuf,
        /// The key.
        key: PublicKey,
    },
    /// A file cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file name that has no URL.
    #[error("site `{site}` announces `{}`, whose name does not end in `.der`", path.display())]
    NotDerName {
        /// The site.
        site: SiteName,
        /// The file.
        path: PathBuf,
    },
    /// A certificate's time has not begun.
    #[error("{role} certificate `{subject}` in `{}` is valid from {not_before}; now is {now}", path.display())]
    NotYetValid {
        /// Its role.
        role: Role,
        /// Its subject.
        subject: String,
        /// Its file.
        path: PathBuf,
        /// Its first second.
        not_before: Timestamp,
        /// The clock that was asked.
        now: Timestamp,
    },
    /// Two different certificates would have the same URL.
    #[error("`{}` and `{}` differ but would both be served as `{name}`", one.display(), other.display())]
    SameName {
        /// The file name.
        name: String,
        /// One file.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A site key cannot be used.
    #[error("site `{site}`")]
    SiteKey {
        /// The site.
        site: SiteName,
        /// Why.
        source: KeyFileError,
    },
    /// The static directory cannot be listed.
    #[error("failed to read static directory `{}`", path.display())]
    StaticDir {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A key of another kind than a device or this server can use.
    #[error("{role} certificate `{subject}` in `{}` has a key of {key}; allowed: RSA {MAX_KEY_BITS}", path.display())]
    UnsupportedKey {
        /// Its role.
        role: Role,
        /// Its subject.
        subject: String,
        /// Its file.
        path: PathBuf,
        /// The key.
        key: PublicKey,
    },
}

impl Refusal {
    /// Whether it may go away by itself, and may have come by itself.
    pub(super) fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }
}

impl Explain for Refusal {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::CertUrl { .. } => "cert-url-too-long".into(),
            Self::Chain { source, .. } => match source {
                ChainError::BrokenLink { .. } | ChainError::Empty => "broken-chain".into(),
                ChainError::ForeignRoot { .. } => "foreign-root".into(),
                ChainError::NotAnchored { .. } => "not-anchored".into(),
            },
            Self::ChainTooLarge { .. } => "chain-too-large".into(),
            Self::Expired { .. } => "expired".into(),
            Self::Key {
                source: KeyMismatch::Foreign { .. },
                ..
            } => "foreign-key".into(),
            Self::Key {
                source: KeyMismatch::Unusable,
                ..
            } => "unusable-key".into(),
            Self::KeySize { .. } => "key-size".into(),
            Self::Load(source) => source.code(),
            Self::NotDerName { .. } => "not-der-name".into(),
            Self::NotYetValid { .. } => "not-yet-valid".into(),
            Self::SameName { .. } => "same-name".into(),
            Self::SiteKey { source, .. } => source.code(),
            Self::StaticDir { .. } => "unreadable-static-dir".into(),
            Self::UnsupportedKey { .. } => "unsupported-key".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::CertUrl { .. } => "shorten `base_url` or the certificate's file name".into(),
            Self::Chain { source, .. } => source.hint(),
            Self::ChainTooLarge { .. } => {
                "issue the chain again with shorter names and fewer extensions, or without an intermediate; \
                 `engage-host init` makes one of about 2,700 bytes"
                    .into()
            }
            Self::Expired { role: Role::Server, .. } => {
                "issue a new server certificate; devices need not be touched while the announced one stays".into()
            }
            Self::Expired { role: Role::Intermediate, .. } => {
                "issue it again; only if it is the announced certificate must devices install it".into()
            }
            Self::Expired { .. } => "issue it again; devices must then install it".into(),
            Self::Key { source, .. } => source.hint(),
            Self::KeySize { .. } | Self::UnsupportedKey { .. } => {
                "make the key again with `openssl genrsa 2048`, and the certificates that depend on it".into()
            }
            Self::Load(source) => source.hint(),
            Self::NotDerName { .. } => "rename the file: devices fetch `NAME.der`".into(),
            Self::NotYetValid { .. } => {
                "check this computer's clock (`timedatectl`), or wait; devices whose clock is behind wait longer".into()
            }
            Self::SameName { .. } => "rename one of them, or remove the outdated copy".into(),
            Self::SiteKey { source, .. } => source.hint(),
            Self::StaticDir { .. } => "`static_dir` is the folder that contains `Device_Certificates`".into(),
        }
    }
}

/// One or more refusals, in the order in which they were found.
#[derive(Debug)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// `None` when there is nothing to refuse.
    #[must_use]
    pub fn new(refusals: Vec<Refusal>) -> Option<Self> {
        (!refusals.is_empty()).then_some(Self(refusals))
    }

    /// Each refusal.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

impl IntoIterator for Refusals {
    type Item = Refusal;
    type IntoIter = std::vec::IntoIter<Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.iter().map(|refusal| explained(refusal)).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for Refusals {}

fn for_site(site: Option<&SiteName>) -> String {
    site.map_or_else(String::new, |site| format!(" for site `{site}`"))
}
