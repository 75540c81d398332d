//! What one site announces.

use std::path::Path;
use std::sync::Arc;

use super::anchors::Anchor;
use super::checks::readable_by_others;
use super::serials::{self, Listed};
use super::{Validator, ambiguous};
use crate::config::{BaseUrl, BrokenSite, SiteConfig};
use crate::operator_map::OperatorSet;
use crate::publication::inventory::SiteEntry;
use crate::publication::serials::ReadSerials;
use crate::publication::site::SiteEvidence;
use crate::publication::static_files::FileName;
use crate::publication::{BadSite, PublishedSite, Refusal, Warning};
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::pki::{Certificate, DevicePath, ServerChain};
use engage_wire::site::{Announcement, CertUrl, CertUrlError, SiteKey, SiteName};

/// What a site's devices are told.
pub(super) struct GoodSite {
    /// Some perhaps twice.
    pub(super) serials: Vec<SerialNumber>,
    pub(super) site: Arc<PublishedSite>,
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
    pub(super) serials: OperatorSet<SerialNumber>,
    /// Whether its file lists others that are not.
    pub(super) is_list_unread: bool,
    /// Whether the server's chain leads to what it is configured to announce.
    pub(super) is_anchored: bool,
    pub(super) site: BadSite,
}

impl<'a> Validator<'a> {
    /// Each site by itself.
    pub(super) fn validate_sites(
        &mut self,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> (Vec<GoodSite>, Vec<RefusedSite<'a>>) {
        let for_all = std::mem::take(&mut self.report.refusals);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let mut ambiguous = ambiguous::names_and_hosts(&self.config.sites);
        let sites = self.config.sites.iter();
        let last = sites.clone().map(|site| self.last.get(&site.name).copied());
        let last: Vec<_> = last.collect();
        let listed = sites
            .clone()
            .zip(&last)
            .map(|(site, last)| Listed::new(site, self.versions, last.map(|last| &last.evidence)));
        let listed: Vec<_> = listed.collect();
        self.check_listed(&listed);
        let mut ambiguous_serials = serials::ambiguous(&listed);
        for (at, ((config, listed), last)) in sites.zip(listed).zip(last).enumerate() {
            self.report.refusals = ambiguous.remove(&at).unwrap_or_default();
            self.report.refusals.extend(ambiguous_serials.remove(&at));
            let (serials, serials_file, is_list_unread) = self.known_serials(&config.name, listed);
            let site = self.site(config, last, serials_file, chain, root);
            if self.report.refusals.is_empty() {
                good.extend(site.map(|(site, path)| GoodSite {
                    serials,
                    site,
                    path,
                }));
            } else {
                bad.push(RefusedSite {
                    hosts: config.hosts.claims().collect(),
                    base_url: config.base_url.as_ref(),
                    certificate: &config.certificate,
                    is_broken: false,
                    serials: serials.into_iter().collect(),
                    is_list_unread,
                    is_anchored: self.anchors.contains_key(config.certificate.as_os_str()),
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
        let listed = Listed::from_broken(broken, self.versions);
        let (serials, _, is_list_unread) = self.known_serials(name, listed);
        self.inventory.sites.push(SiteEntry::refused(name, hosts));
        RefusedSite {
            hosts: hosts.claims().collect(),
            base_url: broken.base_url.as_ref(),
            certificate: &broken.file,
            is_broken: true,
            serials: serials.into_iter().collect(),
            is_list_unread,
            // Of what it is to announce nothing is known.
            is_anchored: true,
            site: BadSite::new(name, self.report.refusals.drain(..)),
        }
    }

    /// The devices of a site, the file that lists them, and whether there may be others.
    fn known_serials(
        &mut self,
        site: &SiteName,
        listed: Listed<'_>,
    ) -> (Vec<SerialNumber>, Option<ReadSerials>, bool) {
        let (serials, file, unread) = listed.into_known();
        let is_list_unread = unread.is_some();
        let unread = unread.map(|source| Refusal::Serials {
            site: site.clone(),
            source,
        });
        self.report.refusals.extend(unread);
        (serials, file, is_list_unread)
    }

    fn site(
        &mut self,
        site: &Arc<SiteConfig>,
        last: Option<&Arc<PublishedSite>>,
        serials_file: Option<ReadSerials>,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<(Arc<PublishedSite>, Arc<DevicePath>)> {
        let anchor = self.anchor(site, chain, root);
        let file = self.file_name(site, anchor.as_deref());
        let published = match (&anchor, file) {
            (Some(anchor), Some(file)) => self.announce(site, last, anchor, file, serials_file),
            // What else is wrong with it is said too.
            _ => self.site_key(site).and(None),
        };
        let is_good = self.report.refusals.is_empty();
        let anchor = anchor.as_deref();
        let path = anchor.and_then(|anchor| anchor.path.clone());
        if self.has_inventory {
            let entry = SiteEntry {
                ok: is_good,
                cert_url: published
                    .as_ref()
                    .map(|it| it.announcement.cert_url().to_string()),
                hash: published
                    .as_ref()
                    .map(|it| it.announcement.hash().to_string()),
                fingerprint_sha256: anchor.map(|it| it.fingerprint.to_string()),
                chain_bytes: path.as_ref().map(|path| path.size()),
                ..SiteEntry::refused(&site.name, &site.hosts)
            };
            self.inventory.sites.push(entry);
        }
        let published = published.filter(|_| is_good)?;
        let certificate = &anchor?.file.certificate;
        self.serve(&published.file_name, &site.certificate, certificate);
        Some((published, path?))
    }

    /// What a site's devices are told: as it was validated last, if that still holds.
    fn announce(
        &mut self,
        site: &Arc<SiteConfig>,
        last: Option<&Arc<PublishedSite>>,
        anchor: &Anchor,
        (file_name, url): (FileName, CertUrl),
        serials_file: Option<ReadSerials>,
    ) -> Option<Arc<PublishedSite>> {
        let version = self.versions.get(&site.key_file);
        let last = last.filter(|last| {
            last.evidence.config == *site
                && version.is_as(last.evidence.key)
                && last.evidence.serials_file == serials_file
                && last.fingerprint == anchor.fingerprint
                && *last.announcement.cert_url() == url
        });
        if let Some(last) = last.map(Arc::clone) {
            self.report.warn_all(&last.evidence.warnings);
            return Some(last);
        }
        let (key, warnings) = self.site_key(site)?;
        self.report.warn_all(&warnings);
        let hash = key.announcement_hash(anchor.file.certificate.der());
        Some(Arc::new(PublishedSite {
            name: site.name.clone(),
            announcement: Announcement::new(url, hash),
            fingerprint: anchor.fingerprint,
            anchor: Arc::clone(&anchor.file.certificate),
            file_name,
            evidence: SiteEvidence {
                config: Arc::clone(site),
                key: version,
                warnings,
                serials_file,
            },
        }))
    }

    /// The key, and what is to be said of it.
    fn site_key(&mut self, site: &SiteConfig) -> Option<(SiteKey, Vec<Warning>)> {
        let SiteConfig { name, key_file, .. } = site;
        let key = SiteKey::load(key_file).map_err(|source| Refusal::SiteKey {
            site: name.clone(),
            source,
        });
        let key = self.report.accept(key)?;
        let mut warnings: Vec<_> = readable_by_others(key_file).into_iter().collect();
        if let Some(why) = key.placeholder() {
            warnings.push(Warning::PlaceholderSiteKey {
                site: name.clone(),
                path: key_file.clone(),
                why,
            });
        } else if key.looks_like_text() {
            warnings.push(Warning::SiteKeyIsText {
                site: name.clone(),
                path: key_file.clone(),
            });
        }
        Some((key, warnings))
    }

    /// Under which name the announced certificate is served, and where devices fetch it.
    fn file_name(
        &mut self,
        site: &SiteConfig,
        anchor: Option<&Anchor>,
    ) -> Option<(FileName, CertUrl)> {
        let certificate = &site.certificate;
        let is_common = site.base_url.is_none();
        let known = self.urls.get(certificate.as_os_str());
        let file = match known.filter(|_| is_common) {
            Some(known) => known.clone(),
            None => self.new_file_name(site)?,
        };
        if let Some((other, existing)) = self.served.get(&file.0)
            && anchor.is_some_and(|anchor| *anchor.file.certificate != *existing)
        {
            let same_name = Refusal::SameName {
                name: file.0.to_string(),
                one: certificate.clone(),
                other: other.clone(),
            };
            self.report.refuse(same_name);
        }
        Some(file)
    }

    fn new_file_name(&mut self, site: &SiteConfig) -> Option<(FileName, CertUrl)> {
        let SiteConfig {
            name, certificate, ..
        } = site;
        let file_name = FileName::from_path(certificate).ok_or_else(|| Refusal::NotDerName {
            site: name.clone(),
            path: certificate.clone(),
        });
        let file_name = self.report.accept(file_name)?;
        let url = self
            .cert_url(site.base_url.as_ref(), &file_name)
            .map_err(|source| Refusal::CertUrl {
                site: name.clone(),
                source,
            });
        let file = (file_name, self.report.accept(url)?);
        if site.base_url.is_none() {
            self.urls.insert(certificate.clone().into(), file.clone());
        }
        Some(file)
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
        if !self.announced.contains(name) {
            self.announced.insert(name.clone());
            let file = (path.to_owned(), certificate.clone());
            self.served.insert(name.clone(), file);
        }
    }
}
