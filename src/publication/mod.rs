//! Everything that the certificate routes serve, proven as a device would prove it.
//!
//! [`prove`] is the one implementation behind `serve`, `check` and every reload. What it returns
//! is immutable; a request costs one map look-up and one write (DESIGN.md, promises 1 and 2).

mod inventory;
mod prove;
mod refusal;
mod shelf;
mod warning;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;

use crate::pki::Timestamp;
use crate::site::{Announcement, HostName};
use crate::tls::TlsIdentity;

pub use inventory::{CertificateEntry, Inventory, SiteEntry};
pub use prove::{Proof, prove};
pub use refusal::{Refusal, Refusals};
pub use shelf::{CERTIFICATE_ROUTE, FileName};
pub use warning::Warning;

/// The publication in force, shared by both listeners and replaced as one value.
#[derive(Clone, Debug)]
pub struct Published(Arc<ArcSwap<Publication>>);

impl Published {
    /// Puts the first publication in force.
    #[must_use]
    pub fn new(publication: Publication) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(publication)))
    }

    /// Replaces it: announcements, files and TLS identity at once. Connections that are open keep
    /// the session they have.
    pub fn replace(&self, publication: Publication) {
        self.0.store(Arc::new(publication));
    }

    /// The publication in force at this moment.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Publication>> {
        self.0.load()
    }
}

/// What devices are told and given. Exists only if a device would accept all of it.
#[derive(Debug)]
pub struct Publication {
    /// By the exact path of the request.
    certificates: HashMap<String, Bytes>,
    announcements: HashMap<HostName, Announcement>,
    /// Of the one site without `hosts`.
    default_announcement: Option<Announcement>,
    identity: TlsIdentity,
    expiries: Vec<Expiry>,
    chain_bytes: usize,
}

/// When one of the certificates ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// server, intermediate or root.
    pub role: String,
    /// Subject name.
    pub subject: String,
    /// Last valid second.
    pub not_after: Timestamp,
    /// SHA-256 fingerprint.
    pub fingerprint: String,
}

impl Publication {
    /// The DER file whose path is exactly `path`, undecoded.
    #[must_use]
    pub fn certificate(&self, path: &str) -> Option<Bytes> {
        self.certificates.get(path).cloned()
    }

    /// The announcement of the site that a Host header selects.
    #[must_use]
    pub fn announcement(&self, host_header: Option<&str>) -> Option<&Announcement> {
        if self.announcements.is_empty() {
            return self.default_announcement.as_ref();
        }
        host_header
            .and_then(HostName::from_host_header)
            .and_then(|host| self.announcements.get(&host))
            .or(self.default_announcement.as_ref())
    }

    /// When each certificate of the chain and above ends, the server's first.
    #[must_use]
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    /// Largest DER total that a device counts, in bytes.
    #[must_use]
    pub fn chain_bytes(&self) -> usize {
        self.chain_bytes
    }

    /// What the TLS listener proves itself with.
    #[must_use]
    pub fn identity(&self) -> &TlsIdentity {
        &self.identity
    }
}
