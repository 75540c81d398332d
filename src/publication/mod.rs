//! Everything that the certificate routes serve, proven as a device would prove it.
//!
//! [`validate`] is the one implementation behind `serve`, `check` and every reload. What it returns
//! is immutable; a request costs one map look-up and one write (DESIGN.md, promises 1 and 2).

mod inventory;
mod refusal;
mod static_files;
mod validate;
mod warning;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use rustls::server::ClientHello;

use crate::tls::TlsIdentity;
use engage_wire::HostName;
use engage_wire::pki::{Certificate, Fingerprint, Validity};
use engage_wire::site::{Announcement, SiteName};
use jiff::Timestamp;

pub use inventory::{CertificateEntry, Inventory, SiteEntry};
pub use refusal::{Refusal, Refusals};
pub use static_files::FileName;
pub use validate::{Validation, validate};
pub use warning::Warning;

/// The publication in force, shared by both listeners and replaced as one value.
#[derive(Clone, Debug)]
pub struct CurrentPublication(Arc<ArcSwap<Publication>>);

impl CurrentPublication {
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

    /// What a client of the TLS listener is shown: the same for every one of them.
    #[must_use]
    pub fn select_identity(
        &self,
        _peer: SocketAddr,
        _hello: &ClientHello<'_>,
    ) -> Option<TlsIdentity> {
        self.current().identity().ok().cloned()
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
    sites: HashMap<HostName, Arc<PublishedSite>>,
    /// The one without `hosts`.
    default_site: Option<Arc<PublishedSite>>,
    /// What the TLS listener proves itself with, or why devices would refuse it now.
    identity: Result<TlsIdentity, Refusals>,
    expiries: Vec<Expiry>,
    chain_bytes: usize,
}

/// What the devices of one site are told.
#[derive(Debug)]
pub struct PublishedSite {
    /// Its name.
    pub name: SiteName,
    /// What they are told.
    pub announcement: Announcement,
    /// SHA-256 fingerprint of the announced certificate.
    pub fingerprint: Fingerprint,
    /// The announced certificate.
    pub anchor: Arc<Certificate>,
}

/// When one of the certificates ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// server, intermediate or root.
    pub role: String,
    /// Subject name.
    pub subject: String,
    /// First and last valid second.
    pub validity: Validity,
    /// SHA-256 fingerprint.
    pub fingerprint: String,
}

impl Publication {
    /// The DER file whose path is exactly `path`, undecoded.
    #[must_use]
    pub fn certificate(&self, path: &str) -> Option<Bytes> {
        self.certificates.get(path).cloned()
    }

    /// The site that a Host header selects.
    #[must_use]
    pub fn site(&self, host_header: Option<&str>) -> Option<&PublishedSite> {
        let selected = match host_header {
            Some(host) if !self.sites.is_empty() => {
                HostName::from_host_header(host).and_then(|host| self.sites.get(&host))
            }
            _ => None,
        };
        selected.or(self.default_site.as_ref()).map(Arc::as_ref)
    }

    /// What the devices of some site are told to trust.
    #[must_use]
    pub fn any_anchor(&self) -> Option<&Certificate> {
        let mut sites = self.default_site.iter().chain(self.sites.values());
        sites.next().map(|site| &*site.anchor)
    }

    fn are_anchors_valid_at(&self, now: Timestamp) -> bool {
        let mut sites = self.default_site.iter().chain(self.sites.values());
        sites.all(|site| {
            let validity = site.anchor.validity();
            !validity.is_early(now) && !validity.is_over(now)
        })
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

    /// What the TLS listener proves itself with, or why devices would refuse it now: the time of
    /// the server's chain has not begun or is over.
    pub fn identity(&self) -> Result<&TlsIdentity, &Refusals> {
        self.identity.as_ref()
    }

    /// The same if the TLS listener can prove itself, or why not.
    pub fn with_identity(self) -> Result<Self, Refusals> {
        let identity = Ok(self.identity?);
        Ok(Self { identity, ..self })
    }

    /// Whether the time of every certificate has begun and is not over.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expiries
            .iter()
            .all(|it| !it.validity.is_early(now) && !it.validity.is_over(now))
    }
}
