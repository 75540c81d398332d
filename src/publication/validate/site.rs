//! What one site announces, and whether its devices can build a path to it.

use std::path::Path;
use std::sync::Arc;

use super::Validator;
use crate::config::SiteConfig;
use crate::publication::inventory::{CertificateEntry, SiteEntry};
use crate::publication::static_files::FileName;
use crate::publication::{Expiry, PublishedSite, Refusal, Warning};
use engage_wire::HostName;
use engage_wire::pki::device_profile::{DeviceProfile, Judgement};
use engage_wire::pki::{Certificate, DevicePath, ServerChain, load_certificate_der};
use engage_wire::site::{Announcement, CertUrl, SiteKey};

/// An announced certificate, and the path that a device builds to it.
pub(super) struct Anchor {
    certificate: Arc<Certificate>,
    /// Absent when the server's chain itself was refused.
    path_bytes: Option<usize>,
}

/// What a site's devices are told.
pub(super) struct ValidatedSite {
    pub(super) hosts: Vec<HostName>,
    pub(super) site: PublishedSite,
}

impl Validator<'_> {
    pub(super) fn site(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<ValidatedSite> {
        let anchor = self.anchor(site, chain, root);
        let key = self.site_key(site);
        let cert_url = self.cert_url(site, anchor.as_deref());
        let announcement = match (&anchor, key, cert_url) {
            (Some(anchor), Some(key), Some(url)) => {
                let hash = key.announcement_hash(anchor.certificate.der());
                Some(Announcement::new(url, hash))
            }
            _ => None,
        };
        self.inventory.sites.push(SiteEntry {
            name: site.name.to_string(),
            hosts: site.hosts.iter().map(HostName::to_string).collect(),
            cert_url: announcement.as_ref().map(|it| it.cert_url().to_string()),
            hash: announcement.as_ref().map(|it| it.hash().to_string()),
            fingerprint_sha256: anchor
                .as_ref()
                .map(|it| it.certificate.fingerprint().to_string()),
            chain_bytes: anchor.as_ref().and_then(|it| it.path_bytes),
        });
        Some(ValidatedSite {
            hosts: site.hosts.clone(),
            site: PublishedSite {
                name: site.name.clone(),
                announcement: announcement?,
                fingerprint: anchor.as_ref()?.certificate.fingerprint(),
                anchor: Arc::clone(&anchor?.certificate),
            },
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

    /// Where devices fetch the announced certificate, which is served there.
    fn cert_url(&mut self, site: &SiteConfig, anchor: Option<&Anchor>) -> Option<CertUrl> {
        let SiteConfig {
            name, certificate, ..
        } = site;
        let file_name = FileName::from_path(certificate).ok_or_else(|| Refusal::NotDerName {
            site: name.clone(),
            path: certificate.clone(),
        });
        let file_name = self.report.accept(file_name)?;
        let url = CertUrl::new(format!("{}{}", self.base_url, file_name.request_path()));
        if let Some(anchor) = anchor {
            self.serve(file_name, certificate, &anchor.certificate);
        }
        self.report.accept(url.map_err(|source| Refusal::CertUrl {
            site: name.clone(),
            source,
        }))
    }

    /// Serves an announced certificate by its file name, from the bytes that are hashed.
    fn serve(&mut self, name: FileName, path: &Path, certificate: &Certificate) {
        match self.served.get(&name) {
            Some((other, existing)) if existing != certificate => {
                self.report.refuse(Refusal::SameName {
                    name: name.to_string(),
                    one: path.to_owned(),
                    other: other.clone(),
                });
            }
            _ => {
                self.served
                    .insert(name, (path.to_owned(), certificate.clone()));
            }
        }
    }

    /// The announced certificate of a site, proven once for each distinct file.
    fn anchor(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<Arc<Anchor>> {
        if let Some(known) = self.anchors.get(&site.certificate) {
            return known.clone();
        }
        let certificate = load_certificate_der("announced certificate", &site.certificate);
        let anchor = self.report.accept(certificate).map(|certificate| {
            let path = chain.and_then(|chain| self.device_path(site, chain, &certificate, root));
            Arc::new(Anchor {
                path_bytes: path.map(|path| path.size()),
                certificate: Arc::new(certificate),
            })
        });
        self.anchors
            .insert(site.certificate.clone(), anchor.clone());
        anchor
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
            if self
                .expiries
                .iter()
                .any(|known| known.fingerprint == fingerprint)
            {
                continue;
            }
            let validity = certificate.validity();
            self.expiries.push(Expiry {
                role: role.to_string(),
                subject: certificate.subject().to_owned(),
                validity,
                fingerprint: fingerprint.clone(),
            });
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
