//! Everything that the certificate routes serve, checked as a device would check it.
//!
//! [`validate`] is the one implementation behind `serve`, `check` and every reload. What it returns
//! is immutable; a request costs one map look-up and one write (DESIGN.md, promises 1 and 2).

mod inventory;
mod refusal;
mod rotation;
mod serials;
mod site;
mod static_files;
mod validate;
mod warning;

use std::ffi::OsString;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;

use crate::file_version::FileVersion;
use crate::operator_map::OperatorMap;
use crate::tls::TlsIdentity;
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::pki::{Certificate, DevicePath, Fingerprint, ServerChain, Validity};
use engage_wire::site::SiteName;
use jiff::Timestamp;

pub(crate) use inventory::{Inventory, SiteEntry};
pub(crate) use refusal::{Refusal, Refusals};
pub(crate) use rotation::{
    ChainGeneration, PublishedRotation, SelectionReason, ShownIdentity, announces_new,
};
pub(crate) use serials::listed_serials;
pub(crate) use site::{BadSite, NoAnnouncement, PublishedSite, refuse_unannounceable};
pub use validate::validate;
pub(crate) use validate::{NextFiles, Validation, validate_as_seen};
pub(crate) use warning::Warning;

use serials::MalformedLine;
use site::SiteSlot;

/// The publication in force, shared by both listeners and replaced as one value.
#[derive(Clone, Debug)]
pub struct CurrentPublication(Arc<ArcSwap<Publication>>);

impl CurrentPublication {
    /// Puts the first publication in force.
    pub fn new(publication: Publication) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(publication)))
    }

    /// Replaces it: announcements, files and TLS identity at once. Connections that are open keep
    /// the session they have.
    pub fn replace(&self, publication: Publication) {
        self.0.store(Arc::new(publication));
    }

    /// The publication in force at this moment, to be looked at for long.
    pub fn current_arc(&self) -> Arc<Publication> {
        self.0.load_full()
    }

    /// The publication in force at this moment.
    pub fn current(&self) -> Guard<Arc<Publication>> {
        self.0.load()
    }
}

/// What devices are told and given. Exists only if the devices of some site would accept all that
/// they are.
#[derive(Debug)]
pub struct Publication {
    /// By the exact path of the request.
    certificates: OperatorMap<String, ServedCertificate>,
    sites: OperatorMap<HostName, SiteSlot>,
    sites_by_serial: OperatorMap<SerialNumber, SiteSlot>,
    /// Whether a device that stands there for no site may be one of a site whose list cannot be read.
    is_list_unknown: bool,
    /// The one without `hosts`.
    default_site: Option<SiteSlot>,
    /// Those that are announced as they are configured.
    good_sites: Vec<Arc<PublishedSite>>,
    /// What they announce, by its file.
    anchor_files: OperatorMap<OsString, AnchorFile>,
    bad_sites: Vec<BadSite>,
    malformed_serials: Vec<MalformedLine>,
    /// What the TLS listener authenticates with, or why devices would refuse it now.
    identity: Result<TlsIdentity, Refusals>,
    chain: ServerChain,
    /// What the first good site announces: stands for all that the chain leads to.
    anchor: Fingerprint,
    /// What is served beside it, or in its place, while the root is being changed.
    rotation: Option<Box<PublishedRotation>>,
    expiries: Vec<Expiry>,
    chain_bytes: usize,
}

/// An announced certificate as it was read at a moment.
#[derive(Clone, Debug)]
struct AnchorFile {
    version: FileVersion,
    certificate: Arc<Certificate>,
}

/// A file that is served.
#[derive(Clone, Debug)]
pub struct ServedCertificate {
    /// Its bytes.
    pub der: Bytes,
    /// SHA-256 fingerprint.
    pub fingerprint: Fingerprint,
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
    pub fingerprint: Fingerprint,
    /// Whether every device is sent it; else only those of some site know it.
    pub is_sent: bool,
}

impl Publication {
    /// The DER file whose path is exactly `path`, undecoded.
    pub fn certificate(&self, path: &str) -> Option<ServedCertificate> {
        let next = || self.rotation()?.served(path);
        let served = self.certificates.get(path).or_else(next);
        served.cloned()
    }

    /// Whether a device is listed for a site.
    pub(crate) fn lists(&self, serial: SerialNumber) -> bool {
        self.sites_by_serial.contains_key(&serial)
    }

    /// Whether any device is.
    pub(crate) fn lists_devices(&self) -> bool {
        !self.sites_by_serial.is_empty()
    }

    /// Whether a serial number matters to [`site`](Self::site).
    pub(crate) fn selects_by_serial(&self) -> bool {
        self.is_list_unknown || self.lists_devices()
    }

    /// What is told to the devices of the site that is selected: for its new anchor, once a rotation
    /// has come so far.
    pub fn site(
        &self,
        serial: Option<SerialNumber>,
        host: Option<&str>,
    ) -> Result<&PublishedSite, NoAnnouncement> {
        let site = self.select(serial, host)?;
        let announced = self.rotation().and_then(|it| it.announced(&site.name));
        Ok(announced.unwrap_or(site))
    }

    /// The site for which a device is listed, else the one that the host which is asked selects, else,
    /// where none is asked, the only one. The default site does not answer for a bad one: its devices
    /// have another key. Nor does any for a device that may be listed in a file that cannot be read.
    fn select(
        &self,
        serial: Option<SerialNumber>,
        host: Option<&str>,
    ) -> Result<&PublishedSite, NoAnnouncement> {
        let listed = serial.and_then(|serial| self.sites_by_serial.get(&serial));
        if self.is_list_unknown && serial.is_some() && listed.is_none() {
            return Err(NoAnnouncement::Withheld);
        }
        let selected = match (listed, host) {
            (Some(_), _) => listed,
            (None, None) if self.good_sites.len() + self.bad_sites.len() > 1 => {
                return Err(NoAnnouncement::NoHost);
            }
            (None, None) => self.sites.values().next(),
            (None, Some(host)) if !self.sites.is_empty() => {
                HostName::from_authority(host).and_then(|host| self.sites.get(&host))
            }
            (None, Some(_)) => None,
        };
        match selected.or(self.default_site.as_ref()) {
            Some(SiteSlot::Published(site)) => Ok(site),
            Some(SiteSlot::Withheld) => Err(NoAnnouncement::Withheld),
            None => Err(NoAnnouncement::NoSite),
        }
    }

    /// What the devices of some site are told to trust.
    pub fn any_anchor(&self) -> Option<&Certificate> {
        self.anchors().next()
    }

    /// Whether the certificate that the devices of some site trust is valid.
    pub fn has_valid_anchor_at(&self, now: Timestamp) -> bool {
        let mut validities = self.anchors().map(Certificate::validity);
        validities.any(|validity| !validity.is_early(now) && !validity.is_over(now))
    }

    fn anchors(&self) -> impl Iterator<Item = &Certificate> {
        let slots = self.default_site.iter().chain(self.sites.values());
        slots.filter_map(|slot| match slot {
            SiteSlot::Published(site) => Some(&*site.anchor),
            SiteSlot::Withheld => None,
        })
    }

    /// How many sites are announced as they are configured.
    pub fn good_sites(&self) -> usize {
        self.good_sites.len()
    }

    /// Those, as they are announced.
    pub(crate) fn announced_sites(&self) -> &[Arc<PublishedSite>] {
        &self.good_sites
    }

    /// Those that are not, in the order of the configuration.
    pub fn bad_sites(&self) -> &[BadSite] {
        &self.bad_sites
    }

    /// Lines of serials files that are no serial numbers, at most 20 of each.
    pub(crate) fn malformed_serials(&self) -> &[MalformedLine] {
        &self.malformed_serials
    }

    /// What was announced for `host`, or by default, to the devices of the site of this name.
    fn announced(&self, host: Option<&HostName>, name: &SiteName) -> Option<&PublishedSite> {
        let slot = match host {
            Some(host) => self.sites.get(host),
            None => self.default_site.as_ref(),
        };
        match slot? {
            SiteSlot::Published(site) if site.name == *name => Some(site),
            _ => None,
        }
    }

    /// Has `slot` answer at `host`, or, without one, for all that no other site names.
    fn put(&mut self, host: Option<&HostName>, slot: &SiteSlot) {
        let slot = slot.clone();
        match host {
            Some(host) => drop(self.sites.insert(host.clone(), slot)),
            None => self.default_site = Some(slot),
        }
    }

    /// Whether some site, good or bad, is at `host`, or the default.
    fn answers(&self, host: Option<&HostName>) -> bool {
        host.map_or(self.default_site.is_some(), |host| {
            self.sites.contains_key(host)
        })
    }

    /// Answers nobody at `host` unless some site does.
    fn withhold(&mut self, host: Option<&HostName>) {
        match host {
            Some(host) => {
                let slot = self.sites.entry(host.clone());
                slot.or_insert(SiteSlot::Withheld);
            }
            None => {
                self.default_site.get_or_insert(SiteSlot::Withheld);
            }
        }
    }

    /// Notes the ends and the size of what a device counts that is sent `chain`.
    fn count(&mut self, path: &DevicePath, chain: &ServerChain) {
        self.chain_bytes = self.chain_bytes.max(path.size());
        for (role, certificate) in path.roles() {
            let fingerprint = certificate.fingerprint();
            let mut known = self.expiries.iter();
            if !known.any(|known| known.fingerprint == fingerprint) {
                self.expiries.push(Expiry {
                    role: role.to_string(),
                    subject: certificate.subject().to_owned(),
                    validity: certificate.validity(),
                    fingerprint,
                    is_sent: chain.certificates().contains(certificate),
                });
            }
        }
    }

    /// When each certificate of the chain and above ends, the server's first; and of the chain that is
    /// served beside it.
    pub fn expiries(&self) -> impl Iterator<Item = &Expiry> {
        let next = self.rotation().and_then(PublishedRotation::next);
        let of_next = next.into_iter().flat_map(|next| &next.expiries);
        self.expiries.iter().chain(of_next)
    }

    /// Largest DER total that a device counts, in bytes.
    pub fn chain_bytes(&self) -> usize {
        self.chain_bytes
    }

    /// What the TLS listener authenticates with, or why devices would refuse it now: the time of
    /// the server's chain has not begun or is over.
    pub fn identity(&self) -> Result<&TlsIdentity, &Refusals> {
        self.identity.as_ref()
    }

    /// The same if the TLS listener can authenticate, or why not.
    pub fn with_identity(self) -> Result<Self, Refusals> {
        let identity = Ok(self.identity?);
        Ok(Self { identity, ..self })
    }

    /// The same if the TLS listener can authenticate, every site is good and the files of a rotation
    /// hold, or why not.
    pub fn whole(self) -> Result<Self, Refusals> {
        let is_followed = self.rotation_refusals().next().is_none();
        if self.identity.is_ok() && self.bad_sites.is_empty() && is_followed {
            return Ok(self);
        }
        let identity = self.identity.err().into_iter().flatten();
        let sites = self.bad_sites.into_iter().flat_map(|site| site.refusals);
        let rotation = self.rotation.map(|it| it.into_refusals());
        let rotation = rotation.into_iter().flatten();
        Err(identity.chain(sites).chain(rotation).collect())
    }

    /// Whether something was withheld only for the time of a certificate, which is right now.
    pub fn is_time_right_at(&self, now: Timestamp) -> bool {
        let sites = self.bad_sites.iter().map(|site| &site.refusals);
        let mut withheld = self.identity.as_ref().err().into_iter().chain(sites);
        withheld.any(|refusals| refusals.are_over_at(now))
    }
}
