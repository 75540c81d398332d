//! The validation: everything that a device would check, checked first.

mod ambiguous;
mod anchors;
mod checks;
mod kept;
mod next;
mod report;
mod serials;
mod site;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::inventory::Inventory;
use super::refusal::{Refusal, Refusals};
use super::serials::MalformedLine;
use super::site::{BadSite, SiteSlot};
use super::static_files::{FileName, StaticCertificates};
use super::{Publication, PublishedSite, ServedCertificate, Warning};
use crate::config::{BaseUrl, Config};
use crate::file_version::FileVersions;
use crate::operator_map::{OperatorMap, OperatorSet};
use crate::tls::TlsIdentity;
use anchors::Anchor;
use engage_store::Rotation;
use engage_wire::pki::device_profile::{DeviceProfile, ProfileCheck};
use engage_wire::pki::{
    Certificate, DevicePath, Fingerprint, PrivateKey, Role, ServerChain, load_certificate_chain,
    load_der_or_pem,
};
use engage_wire::site::{CertUrl, SiteName};
use jiff::Timestamp;
use report::Report;
use site::GoodSite;

pub(crate) use next::NextFiles;

/// What a validation found.
#[derive(Debug)]
pub struct Validation {
    /// Everything that was looked at.
    pub inventory: Inventory,
    /// What devices accept, but somebody should look at.
    pub warnings: Vec<Warning>,
    /// What can be served: every site but the bad ones, of which some is good. Or everything that is
    /// wrong, where that concerns all. Where of this only the time of the server's chain stands
    /// against it, what can be served in clear text: devices can still be told which certificate
    /// to install, and fetch it.
    pub outcome: Result<Publication, Refusals>,
}

/// Reads every file that `config` names and checks that a device would accept what they say. A bad
/// site keeps what is announced for it `in_force`. While a rotation is under way, the files that
/// replace them are checked too.
///
/// Finds as much as it can before it gives up: whoever repairs a configuration at night wants
/// all of its faults at once.
pub fn validate(
    config: &Config,
    base_url: &BaseUrl,
    now: Timestamp,
    in_force: Option<&Publication>,
    rotation: Option<&Rotation>,
) -> Validation {
    let versions = FileVersions::default();
    validate_as_seen(config, base_url, now, in_force, rotation, &versions)
}

/// The same where files were looked at a moment ago: not all of them again.
pub(crate) fn validate_as_seen(
    config: &Config,
    base_url: &BaseUrl,
    now: Timestamp,
    in_force: Option<&Publication>,
    rotation: Option<&Rotation>,
    versions: &FileVersions<'_>,
) -> Validation {
    let sources = Sources {
        // A reload shows nobody a table of sites.
        has_inventory: in_force.is_none() || rotation.is_some(),
        config,
        base_url,
        now,
        in_force,
        versions,
    };
    let present = sources.validate();
    match rotation {
        Some(rotation) => sources.in_rotation(present, rotation),
        None => present,
    }
}

/// What a validation starts from.
#[derive(Clone, Copy)]
struct Sources<'a> {
    has_inventory: bool,
    config: &'a Config,
    base_url: &'a BaseUrl,
    now: Timestamp,
    in_force: Option<&'a Publication>,
    /// What files looked like before they are read: a change meanwhile is noticed the next time.
    versions: &'a FileVersions<'a>,
}

impl Sources<'_> {
    fn validate(self) -> Validation {
        let mut validator = Validator {
            config: self.config,
            base_url: self.base_url,
            in_force: self.in_force,
            versions: self.versions,
            report: Report::new(self.now),
            inventory: Inventory::default(),
            last: good_sites_by_name(self.in_force),
            has_inventory: self.has_inventory,
            anchors: OperatorMap::default(),
            paths: OperatorMap::default(),
            urls: OperatorMap::default(),
            served: BTreeMap::new(),
            announced: OperatorSet::default(),
            malformed_serials: Vec::new(),
        };
        let outcome = validator.outcome();
        Validation {
            inventory: validator.inventory,
            warnings: validator.report.into_warnings(),
            outcome,
        }
    }
}

struct Validator<'a> {
    config: &'a Config,
    base_url: &'a BaseUrl,
    in_force: Option<&'a Publication>,
    versions: &'a FileVersions<'a>,
    /// Good sites as they were validated last.
    last: OperatorMap<&'a SiteName, &'a Arc<PublishedSite>>,
    /// Whether somebody looks at the sites of the inventory.
    has_inventory: bool,
    report: Report,
    inventory: Inventory,
    /// Announced certificates that hold, by file: thousands of sites may share one.
    anchors: OperatorMap<OsString, Arc<Anchor>>,
    /// How devices verify the chain from them: there may be thousands of copies of one.
    paths: OperatorMap<Fingerprint, Arc<DevicePath>>,
    /// Under which name the certificate in a file is served, and where devices fetch it that are told no
    /// base URL of their own.
    urls: OperatorMap<OsString, (FileName, CertUrl)>,
    /// What is served under which file name, and where it came from.
    served: BTreeMap<FileName, (PathBuf, Certificate)>,
    /// Which of these a site announces.
    announced: OperatorSet<FileName>,
    /// Lines of serials files.
    malformed_serials: Vec<MalformedLine>,
}

impl Validator<'_> {
    fn outcome(&mut self) -> Result<Publication, Refusals> {
        self.check_base_url();
        self.check_sites();
        let chain = self.chain();
        let identity = chain.as_ref().and_then(|chain| self.identity(chain));
        self.load_static_files();
        let root = self.root();
        let (good, mut bad) = self.validate_sites(chain.as_ref(), root.as_ref());
        let publication = chain.zip(identity).map(|(chain, identity)| {
            let mut publication = publish(identity, good, &chain);
            self.keep(&mut publication, &mut bad, &chain, root.as_ref());
            publication
        });
        self.inventory.served_files = self.served.len();
        let for_all = std::mem::take(&mut self.report.refusals);
        let bad_sites = bad.into_iter().map(|site| site.site);
        match publication {
            Some(publication)
                if !publication.good_sites.is_empty()
                    && for_all.iter().all(Refusal::is_about_time) =>
            {
                Ok(self.complete(publication, for_all, bad_sites.collect()))
            }
            // What no site can be announced for is not served either: a chain is only verified from
            // what some device trusts.
            _ => {
                let of_sites = bad_sites.flat_map(|site| site.refusals);
                Err(for_all.into_iter().chain(of_sites).collect())
            }
        }
    }

    fn complete(
        &mut self,
        publication: Publication,
        for_all: Vec<Refusal>,
        bad_sites: Vec<BadSite>,
    ) -> Publication {
        let served = std::mem::take(&mut self.served).into_iter();
        let certificates = served.map(|(name, (_, certificate))| {
            let served = ServedCertificate {
                der: Bytes::copy_from_slice(certificate.der()),
                fingerprint: certificate.fingerprint(),
            };
            (name.request_path(), served)
        });
        let withheld = (!for_all.is_empty()).then(|| Err(for_all.into_iter().collect()));
        let anchors = std::mem::take(&mut self.anchors).into_iter();
        Publication {
            certificates: certificates.collect(),
            anchor_files: anchors.map(|(path, it)| (path, it.as_file())).collect(),
            malformed_serials: std::mem::take(&mut self.malformed_serials),
            bad_sites,
            identity: withheld.unwrap_or(publication.identity),
            ..publication
        }
    }

    /// The server's chain, its length aside: that depends on what a site announces.
    fn chain(&mut self) -> Option<ServerChain> {
        let path = &self.config.https.certificate;
        let certificates = self
            .report
            .accept(load_certificate_chain("server certificate", path))?;
        let file_of = |_: &Certificate| Some(path.clone());
        let profile = DeviceProfile::with_files(self.report.now, &file_of);
        let ProfileCheck {
            accepted: chain,
            mut violations,
        } = profile.check_chain(certificates);
        if let Some(chain) = &chain {
            let host = self.base_url.host();
            violations.extend(profile.check_host(chain.leaf(), host, "the host of base_url"));
            self.inventory.certificate_message_bytes = Some(chain.certificate_message_bytes());
        }
        self.report.add(violations, path, None);
        self.check_site_hosts(chain.as_ref()?.leaf());
        chain
    }

    fn identity(&mut self, chain: &ServerChain) -> Option<TlsIdentity> {
        let path = &self.config.https.private_key;
        let key = self
            .report
            .accept(PrivateKey::load_for(path, chain.leaf()))?;
        self.report.check_secrecy(path);
        let identity = TlsIdentity::new(chain, key).map_err(|source| Refusal::Key {
            path: path.clone(),
            source,
        });
        self.report.accept(identity)
    }

    fn root(&mut self) -> Option<Certificate> {
        let path = self.config.https.root.as_ref()?;
        let root = self
            .report
            .accept(load_der_or_pem("root certificate", path))?;
        let file_of = |_: &Certificate| Some(path.clone());
        let profile = DeviceProfile::with_files(self.report.now, &file_of);
        let violations = profile.check_certificate(Role::Root, &root);
        self.report.add(violations, path, None);
        Some(root)
    }

    fn load_static_files(&mut self) {
        let path = &self.config.static_dir;
        let static_files = StaticCertificates::load(path).map_err(|source| Refusal::StaticDir {
            path: path.clone(),
            source,
        });
        if let Some(StaticCertificates {
            certificates,
            warnings,
        }) = self.report.accept(static_files)
        {
            self.served.extend(certificates);
            for warning in warnings {
                self.report.warn(warning);
            }
        }
    }
}

fn good_sites_by_name(
    in_force: Option<&Publication>,
) -> OperatorMap<&SiteName, &Arc<PublishedSite>> {
    let sites = in_force.into_iter().flat_map(|it| &it.good_sites);
    sites.map(|site| (&site.name, site)).collect()
}

/// Announces the sites that are good.
fn publish(identity: TlsIdentity, good: Vec<GoodSite>, chain: &ServerChain) -> Publication {
    let anchor = good.first().map(|first| first.site.fingerprint);
    let mut publication = Publication {
        chain: chain.clone(),
        anchor: anchor.unwrap_or_else(|| chain.leaf().fingerprint()),
        rotation: None,
        certificates: OperatorMap::default(),
        sites: OperatorMap::default(),
        sites_by_serial: OperatorMap::default(),
        is_list_unknown: false,
        default_site: None,
        good_sites: Vec::with_capacity(good.len()),
        anchor_files: OperatorMap::default(),
        bad_sites: Vec::new(),
        malformed_serials: Vec::new(),
        identity: Ok(identity),
        expiries: Vec::new(),
        chain_bytes: 0,
    };
    publication.sites.reserve(good.len());
    let serials = good.iter().map(|it| it.serials.len()).sum();
    publication.sites_by_serial.reserve(serials);
    let mut counted = OperatorSet::default();
    for GoodSite {
        serials,
        site,
        path,
    } in good
    {
        let slot = SiteSlot::Published(Arc::clone(&site));
        for host in site.evidence.config.hosts.claims() {
            publication.put(host, &slot);
        }
        publication.list(serials, &slot);
        // Thousands of sites share one.
        if counted.insert(Arc::as_ptr(&path)) {
            publication.count(&path, chain);
        }
        publication.good_sites.push(site);
    }
    publication
}
