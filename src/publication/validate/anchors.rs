//! Announced certificates, and whether a device that trusts one accepts the server's chain.

use std::path::Path;
use std::sync::Arc;

use super::Validator;
use crate::config::SiteConfig;
use crate::publication::AnchorFile;
use crate::publication::inventory::CertificateEntry;
use engage_wire::pki::device_profile::{DeviceProfile, ProfileCheck};
use engage_wire::pki::{Certificate, DevicePath, Fingerprint, ServerChain, load_certificate_der};

/// An announced certificate, and the path that a device builds to it.
pub(super) struct Anchor {
    pub(super) file: AnchorFile,
    pub(super) fingerprint: Fingerprint,
    /// Absent when the server's chain itself was refused, or does not lead there.
    pub(super) path: Option<Arc<DevicePath>>,
}

impl Anchor {
    pub(super) fn as_file(&self) -> AnchorFile {
        self.file.clone()
    }
}

impl Validator<'_> {
    /// The announced certificate of a site, checked once for each distinct file where it holds.
    pub(super) fn anchor(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<Arc<Anchor>> {
        if let Some(known) = self.anchors.get(site.certificate.as_os_str()) {
            return Some(Arc::clone(known));
        }
        let refused_before = self.report.refusals.len();
        let file = self.anchor_file(&site.certificate)?;
        let fingerprint = file.certificate.fingerprint();
        let path = match (self.paths.get(&fingerprint), chain) {
            (Some(known), _) => Some(Arc::clone(known)),
            (None, Some(chain)) => self
                .device_path(site, chain, &file.certificate, root)
                .map(Arc::new),
            (None, None) => None,
        };
        let anchor = Arc::new(Anchor {
            file,
            fingerprint,
            path,
        });
        if self.report.refusals.len() == refused_before {
            self.paths
                .extend(anchor.path.clone().map(|path| (fingerprint, path)));
            self.anchors
                .insert(site.certificate.clone().into(), Arc::clone(&anchor));
        }
        Some(anchor)
    }

    /// The certificate in a file, which is read only if it has changed since the last time.
    fn anchor_file(&mut self, path: &Path) -> Option<AnchorFile> {
        let version = self.versions.get(path);
        let last = self
            .in_force
            .and_then(|it| it.anchor_files.get(path.as_os_str()));
        if let Some(last) = last.filter(|last| version.is_as(last.version)) {
            return Some(last.clone());
        }
        let certificate = load_certificate_der("announced certificate", path);
        Some(AnchorFile {
            version,
            certificate: Arc::new(self.report.accept(certificate)?),
        })
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
        let ProfileCheck {
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
