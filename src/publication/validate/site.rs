//! What one site announces, and whether its devices can build a path to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::serials::{self, Listed};
use super::{Validator, ambiguous};
use crate::config::{BaseUrl, BrokenSite, SiteConfig, SiteHosts};
use crate::publication::inventory::{CertificateEntry, SiteEntry};
use crate::publication::static_files::FileName;
use crate::publication::{BadSite, PublishedSite, Refusal, Warning};
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::pki::device_profile::{DeviceProfile, Judgement};
use engage_wire::pki::{Certificate, DevicePath, ServerChain, load_certificate_der};
use engage_wire::site::{Announcement, CertUrl, CertUrlError, SiteKey, SiteName};

/// An announced certificate, and the path that a device builds to it.
pub(super) struct Anchor {
    certificate: Arc<Certificate>,
    /// Absent when the server's chain itself was refused, or does not lead there.
    path: Option<Arc<DevicePath>>,
}

/// What a site's devices are told.
pub(super) struct GoodSite {
    pub(super) hosts: SiteHosts,
    pub(super) serials: HashSet<SerialNumber>,
    pub(super) site: PublishedSite,
    pub(super) path: Arc<DevicePath>,
}

/// What a site's devices would reject.
pub(super) struct RefusedSite<'a> {
    /// What it claims: hosts, or without one the place of the default site.
    pub(super) hosts: Vec<Option<&'a HostName>>,
    pub(super) base_url: Option<&'a BaseUrl>,
    /// Where its announced certificate comes from, for messages.
    pub(super) certificate: &'a Path,
    /// Whether its own file is what is wrong: then what it says does not count beside what others say.
    pub(super) is_broken: bool,
    /// Those that are known.
    pub(super) serials: HashSet<SerialNumber>,
    /// Whether its file lists others that are not.
    pub(super) is_list_unread: bool,
    /// Whether the server's chain leads to what it is configured to announce.
    pub(super) is_anchored: bool,
    pub(super) site: BadSite,
}

impl<'a> Validator<'a> {
    /// Each site by itself.
    pub(super) fn judge_sites(
        &mut self,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> (Vec<GoodSite>, Vec<RefusedSite<'a>>) {
        let for_all = std::mem::take(&mut self.report.refusals);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let mut ambiguous = ambiguous::names_and_hosts(&self.config.sites);
        let listed: Vec<_> = self.config.sites.iter().map(|it| Listed::of(it)).collect();
        self.check_listed(&listed);
        let mut ambiguous_serials = serials::ambiguous(&listed);
        for (at, (config, listed)) in self.config.sites.iter().zip(listed).enumerate() {
            self.report.refusals = ambiguous.remove(&at).unwrap_or_default();
            self.report.refusals.extend(ambiguous_serials.remove(&at));
            let (serials, is_list_unread) = self.known_serials(&config.name, listed);
            let site = self.site(config, chain, root);
            if self.report.refusals.is_empty() {
                good.extend(site.map(|site| GoodSite { serials, ..site }));
            } else {
                bad.push(RefusedSite {
                    hosts: config.hosts.claims().collect(),
                    base_url: config.base_url.as_ref(),
                    certificate: &config.certificate,
                    is_broken: false,
                    serials,
                    is_list_unread,
                    is_anchored: self.anchors.contains_key(&config.certificate),
                    site: BadSite::new(&config.name, self.report.refusals.drain(..)),
                });
            }
        }
        bad.extend(
            self.config
                .site_files
                .broken()
                .map(|it| self.broken_site(it)),
        );
        self.report.refusals = for_all;
        (good, bad)
    }

    /// A site whose own file cannot be used.
    fn broken_site(&mut self, broken: &'a BrokenSite) -> RefusedSite<'a> {
        let BrokenSite { name, hosts, .. } = broken;
        self.report.refuse(Refusal::SiteFile {
            site: name.clone(),
            source: Arc::clone(&broken.error),
        });
        let (serials, is_list_unread) = self.known_serials(name, Listed::of_broken(broken));
        self.inventory.sites.push(SiteEntry::refused(name, hosts));
        RefusedSite {
            hosts: hosts.claims().collect(),
            base_url: broken.base_url.as_ref(),
            certificate: &broken.file,
            is_broken: true,
            serials,
            is_list_unread,
            // Of what it is to announce nothing is known.
            is_anchored: true,
            site: BadSite::new(name, self.report.refusals.drain(..)),
        }
    }

    /// The devices of a site, and whether there may be others.
    fn known_serials(
        &mut self,
        site: &SiteName,
        listed: Listed<'_>,
    ) -> (HashSet<SerialNumber>, bool) {
        let (serials, unread) = listed.into_known();
        let is_list_unread = unread.is_some();
        let unread = unread.map(|source| Refusal::Serials {
            site: site.clone(),
            source,
        });
        self.report.refusals.extend(unread);
        (serials, is_list_unread)
    }

    fn site(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<GoodSite> {
        let anchor = self.anchor(site, chain, root);
        let key = self.site_key(site);
        let file = self.file_name(site, anchor.as_deref());
        let announcement = match (&anchor, key, &file) {
            (Some(anchor), Some(key), Some((_, url))) => {
                let hash = key.announcement_hash(anchor.certificate.der());
                Some(Announcement::new(url.clone(), hash))
            }
            _ => None,
        };
        let is_good = self.report.refusals.is_empty();
        let path = anchor.as_ref().and_then(|anchor| anchor.path.clone());
        self.inventory.sites.push(SiteEntry {
            name: site.name.to_string(),
            ok: is_good,
            hosts: site.hosts.iter().map(HostName::to_string).collect(),
            is_default: site.hosts.is_default(),
            cert_url: announcement.as_ref().map(|it| it.cert_url().to_string()),
            hash: announcement.as_ref().map(|it| it.hash().to_string()),
            fingerprint_sha256: anchor
                .as_ref()
                .map(|it| it.certificate.fingerprint().to_string()),
            chain_bytes: path.as_ref().map(|path| path.size()),
        });
        if !is_good {
            return None;
        }
        let ((file_name, _), anchor) = (file?, anchor?);
        self.serve(&file_name, &site.certificate, &anchor.certificate);
        Some(GoodSite {
            hosts: site.hosts.clone(),
            serials: HashSet::new(),
            site: PublishedSite {
                name: site.name.clone(),
                announcement: announcement?,
                fingerprint: anchor.certificate.fingerprint(),
                anchor: Arc::clone(&anchor.certificate),
                file_name,
            },
            path: path?,
        })
    }

    fn site_key(&mut self, site: &SiteConfig) -> Option<SiteKey> {
        let SiteConfig { name, key_file, .. } = site;
        let key = SiteKey::load(key_file).map_err(|source| Refusal::SiteKey {
            site: name.clone(),
            source,
        });
        let key = self.report.accept(key)?;
        self.report.check_secrecy(key_file);
        if let Some(why) = key.placeholder() {
            self.report.warn(Warning::PlaceholderSiteKey {
                site: name.clone(),
                path: key_file.clone(),
                why,
            });
        } else if key.looks_like_text() {
            self.report.warn(Warning::SiteKeyIsText {
                site: name.clone(),
                path: key_file.clone(),
            });
        }
        Some(key)
    }

    /// Under which name the announced certificate is served, and where devices fetch it.
    fn file_name(
        &mut self,
        site: &SiteConfig,
        anchor: Option<&Anchor>,
    ) -> Option<(FileName, CertUrl)> {
        let SiteConfig {
            name, certificate, ..
        } = site;
        let file_name = FileName::from_path(certificate).ok_or_else(|| Refusal::NotDerName {
            site: name.clone(),
            path: certificate.clone(),
        });
        let file_name = self.report.accept(file_name)?;
        if let Some((other, existing)) = self.served.get(&file_name)
            && anchor.is_some_and(|anchor| *anchor.certificate != *existing)
        {
            let same_name = Refusal::SameName {
                name: file_name.to_string(),
                one: certificate.clone(),
                other: other.clone(),
            };
            self.report.refuse(same_name);
        }
        let url = self
            .cert_url(site.base_url.as_ref(), &file_name)
            .map_err(|source| Refusal::CertUrl {
                site: name.clone(),
                source,
            });
        Some((file_name, self.report.accept(url)?))
    }

    /// Where the devices of a site that may have a base URL of its own fetch a file.
    pub(super) fn cert_url(
        &self,
        base_url: Option<&BaseUrl>,
        file_name: &FileName,
    ) -> Result<CertUrl, CertUrlError> {
        let base_url = base_url.unwrap_or(self.base_url);
        CertUrl::new(format!("{base_url}{}", file_name.request_path()))
    }

    /// Serves an announced certificate by its file name, from the bytes that are hashed.
    pub(super) fn serve(&mut self, name: &FileName, path: &Path, certificate: &Certificate) {
        if self.announced.insert(name.clone()) {
            let file = (path.to_owned(), certificate.clone());
            self.served.insert(name.clone(), file);
        }
    }

    /// The announced certificate of a site, checked once for each distinct file where it holds.
    fn anchor(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<Arc<Anchor>> {
        if let Some(known) = self.anchors.get(&site.certificate) {
            return Some(Arc::clone(known));
        }
        let refused_before = self.report.refusals.len();
        let certificate = load_certificate_der("announced certificate", &site.certificate);
        let certificate = self.report.accept(certificate)?;
        let path = chain.and_then(|chain| self.device_path(site, chain, &certificate, root));
        let anchor = Arc::new(Anchor {
            path: path.map(Arc::new),
            certificate: Arc::new(certificate),
        });
        if self.report.refusals.len() == refused_before {
            self.anchors
                .insert(site.certificate.clone(), Arc::clone(&anchor));
        }
        Some(anchor)
    }

    /// What a device that trusts only `anchor` makes of the chain, within its limits.
    fn device_path(
        &mut self,
        site: &SiteConfig,
        chain: &ServerChain,
        anchor: &Certificate,
        root: Option<&Certificate>,
    ) -> Option<DevicePath> {
        let chain_file = &self.config.https.certificate;
        let file_of = |certificate: &Certificate| {
            if chain.certificates().contains(certificate) {
                Some(chain_file.clone())
            } else if certificate == anchor {
                Some(site.certificate.clone())
            } else {
                self.config.https.root.clone()
            }
        };
        let Judgement {
            accepted: path,
            violations,
        } = DeviceProfile::with_files(self.report.now, &file_of).check_anchor(chain, anchor, root);
        self.report.add(violations, chain_file, Some(&site.name));
        if let Some(path) = &path {
            self.note(path);
        }
        path
    }

    /// Adds the certificates of a path to the inventory, each once.
    fn note(&mut self, path: &DevicePath) {
        for (role, certificate) in path.roles() {
            let fingerprint = certificate.fingerprint().to_string();
            let mut known = self.inventory.certificates.iter();
            if known.any(|known| known.fingerprint_sha256 == fingerprint) {
                continue;
            }
            let validity = certificate.validity();
            self.inventory.certificates.push(CertificateEntry {
                role: role.to_string(),
                subject: certificate.subject().to_owned(),
                size_bytes: certificate.size(),
                key: certificate.key().to_string(),
                not_after: validity.not_after.to_string(),
                days_left: validity.days_left(self.report.now),
                fingerprint_sha256: fingerprint,
            });
        }
    }
}
