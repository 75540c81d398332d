//! The proof: everything that a device would check, checked first.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::inventory::{CertificateEntry, Inventory, SiteEntry};
use super::refusal::{Refusal, Refusals};
use super::shelf::{FileName, Shelf};
use super::{Expiry, Publication, Warning};
use crate::config::{BaseUrl, Config, HttpsConfig, SiteConfig};
use crate::pki::limits::{MAX_CHAIN_BYTES, MAX_KEY_BITS, MIN_RSA_BITS, TIGHT_CHAIN_BYTES};
use crate::pki::{
    Certificate, DevicePath, PrivateKey, PublicKey, Role, ServerChain, SubjectAltName, Timestamp,
    certificate_der, certificate_of_any_form, certificate_pem_chain,
};
use crate::platform;
use crate::site::{Announcement, CertUrl, HostName, SiteKey};
use crate::tls::TlsIdentity;

/// What a proof found.
#[derive(Debug)]
pub struct Proof {
    /// Everything that was looked at.
    pub inventory: Inventory,
    /// What devices accept, but somebody should look at.
    pub warnings: Vec<Warning>,
    /// What can be served, or why nothing is.
    pub verdict: Result<Publication, Refusals>,
}

/// Reads every file that `config` names and proves that a device would accept what they say.
///
/// Finds as much as it can before it gives up: whoever repairs a configuration at night wants
/// all of its faults at once.
#[must_use]
pub fn prove(config: &Config, base_url: &BaseUrl, now: Timestamp) -> Proof {
    let mut prover = Prover::new(config, base_url, now);
    let verdict = prover.publication();
    let Prover {
        inventory,
        warnings,
        refusals,
        ..
    } = prover;
    Proof {
        inventory,
        warnings,
        verdict: match (verdict, Refusals::new(refusals)) {
            (Some(publication), None) => Ok(publication),
            (_, Some(refusals)) => Err(refusals),
            (None, None) => unreachable!("nothing is withheld without a refusal"),
        },
    }
}

struct Prover<'a> {
    config: &'a Config,
    base_url: &'a BaseUrl,
    now: Timestamp,
    inventory: Inventory,
    warnings: Vec<Warning>,
    refusals: Vec<Refusal>,
    /// Announced certificates by file: thousands of sites may share one.
    anchors: HashMap<PathBuf, Option<Arc<Anchor>>>,
    expiries: Vec<Expiry>,
    /// What is served under which file name, and where it came from.
    served: BTreeMap<FileName, (PathBuf, Certificate)>,
}

/// An announced certificate to which the server's chain leads.
struct Anchor {
    certificate: Certificate,
    /// Absent when the server's chain itself was refused.
    path_bytes: Option<usize>,
}

/// What a site's devices are told.
struct ProvenSite {
    hosts: Vec<HostName>,
    announcement: Announcement,
}

impl<'a> Prover<'a> {
    fn new(config: &'a Config, base_url: &'a BaseUrl, now: Timestamp) -> Self {
        Self {
            config,
            base_url,
            now,
            inventory: Inventory::default(),
            warnings: Vec::new(),
            refusals: Vec::new(),
            anchors: HashMap::new(),
            expiries: Vec::new(),
            served: BTreeMap::new(),
        }
    }

    /// `None` only after at least one refusal.
    fn publication(&mut self) -> Option<Publication> {
        self.judge_base_url();
        let chain = self.chain();
        let identity = chain.as_ref().and_then(|chain| self.identity(chain));
        self.read_shelf();
        let root = self.root();
        let sites: Vec<_> = self
            .config
            .sites
            .iter()
            .map(|site| self.site(site, chain.as_ref(), root.as_ref()))
            .collect();
        self.inventory.served_files = self.served.len();
        let mut publication = Publication {
            certificates: std::mem::take(&mut self.served)
                .into_iter()
                .map(|(name, (_, certificate))| {
                    (
                        name.request_path(),
                        Bytes::copy_from_slice(certificate.der()),
                    )
                })
                .collect(),
            announcements: HashMap::new(),
            default_announcement: None,
            identity: identity?,
            expiries: std::mem::take(&mut self.expiries),
            chain_bytes: self
                .inventory
                .sites
                .iter()
                .filter_map(|site| site.chain_bytes)
                .max()
                .unwrap_or(0),
        };
        for ProvenSite {
            hosts,
            announcement,
        } in sites.into_iter().collect::<Option<Vec<_>>>()?
        {
            if hosts.is_empty() {
                publication.default_announcement = Some(announcement);
                continue;
            }
            let by_host = hosts.into_iter().map(|host| (host, announcement.clone()));
            publication.announcements.extend(by_host);
        }
        Some(publication)
    }

    fn judge_base_url(&mut self) {
        if self.base_url.is_https() {
            self.warnings.push(Warning::https_base_url());
        }
        let is_loopback = matches!(self.base_url.host(), HostName::Ip(ip) if ip.is_loopback());
        if self.config.base_url.is_none() && is_loopback {
            self.warnings
                .push(Warning::derived_base_url(&self.base_url.to_string()));
        }
    }

    /// The server's chain, its limits aside.
    fn chain(&mut self) -> Option<ServerChain> {
        let path = &self.config.https.certificate;
        let certificates = self.accept(certificate_pem_chain("server certificate", path))?;
        let chain = ServerChain::parse(certificates).map_err(|source| Refusal::Chain {
            path: path.clone(),
            site: None,
            source,
        });
        let chain = self.accept(chain)?;
        let message_bytes = chain.certificate_message_bytes();
        self.inventory.certificate_message_bytes = Some(message_bytes);
        if message_bytes > MAX_CHAIN_BYTES {
            self.warnings
                .push(Warning::certificate_message(path, message_bytes));
        }
        for (at, certificate) in chain.certificates().iter().enumerate() {
            let role = match at {
                0 => Role::Server,
                _ if certificate.is_self_signed() => Role::Root,
                _ => Role::Intermediate,
            };
            self.judge_certificate(role, certificate, path);
        }
        self.judge_leaf(chain.leaf(), path);
        Some(chain)
    }

    fn identity(&mut self, chain: &ServerChain) -> Option<TlsIdentity> {
        let HttpsConfig { private_key, .. } = &self.config.https;
        let key = self.accept(PrivateKey::load(private_key))?;
        self.judge_secrecy(private_key);
        let identity = TlsIdentity::prove(chain, key).map_err(|source| Refusal::Key {
            path: private_key.clone(),
            source,
        });
        self.accept(identity)
    }

    fn root(&mut self) -> Option<Certificate> {
        let path = self.config.https.root.as_ref()?;
        let root = self.accept(certificate_of_any_form("root certificate", path))?;
        self.judge_certificate(Role::Root, &root, path);
        Some(root)
    }

    fn read_shelf(&mut self) {
        let path = &self.config.static_dir;
        let shelf = Shelf::read(path).map_err(|source| Refusal::StaticDir {
            path: path.clone(),
            source,
        });
        if let Some(Shelf {
            certificates,
            warnings,
        }) = self.accept(shelf)
        {
            self.warnings.extend(warnings);
            self.served.extend(certificates);
        }
    }

    fn site(
        &mut self,
        site: &SiteConfig,
        chain: Option<&ServerChain>,
        root: Option<&Certificate>,
    ) -> Option<ProvenSite> {
        let SiteConfig {
            name,
            key_file,
            certificate,
            hosts,
        } = site;
        let anchor = self.anchor(site, chain, root);
        let key = SiteKey::load(key_file).map_err(|source| Refusal::SiteKey {
            site: name.clone(),
            source,
        });
        let key = self.accept(key);
        if let Some(key) = &key {
            self.judge_secrecy(key_file);
            if key.looks_like_text() {
                self.warnings.push(Warning::site_key_text(name, key_file));
            }
        }
        let file_name = FileName::of(certificate).ok_or_else(|| Refusal::NotDerName {
            site: name.clone(),
            path: certificate.clone(),
        });
        let file_name = self.accept(file_name);
        let cert_url = file_name.as_ref().and_then(|file_name| {
            let url = CertUrl::new(format!("{}{}", self.base_url, file_name.request_path()));
            self.accept(url.map_err(|source| Refusal::CertUrl {
                site: name.clone(),
                source,
            }))
        });
        if let (Some(anchor), Some(file_name)) = (&anchor, file_name) {
            self.serve(file_name, certificate, &anchor.certificate);
        }
        let announcement = match (&anchor, &key, cert_url) {
            (Some(anchor), Some(key), Some(url)) => Some(Announcement::new(
                url,
                key.announcement_hash(anchor.certificate.der()),
            )),
            _ => None,
        };
        self.inventory.sites.push(SiteEntry {
            name: name.to_string(),
            hosts: hosts.iter().map(HostName::to_string).collect(),
            cert_url: announcement.as_ref().map(|it| it.cert_url().to_string()),
            hash: announcement.as_ref().map(|it| it.hash().to_string()),
            fingerprint_sha256: anchor
                .as_ref()
                .map(|it| it.certificate.fingerprint().to_string()),
            chain_bytes: anchor.as_ref().and_then(|it| it.path_bytes),
        });
        Some(ProvenSite {
            hosts: hosts.clone(),
            announcement: announcement?,
        })
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
        let anchor = self
            .accept(certificate_der("announced certificate", &site.certificate))
            .map(|certificate| {
                let path =
                    chain.and_then(|chain| self.device_path(site, chain, &certificate, root));
                Arc::new(Anchor {
                    path_bytes: path.map(|path| path.size()),
                    certificate,
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
        if !chain.certificates().contains(anchor) {
            let role = if anchor.is_self_signed() {
                Role::Root
            } else {
                Role::Intermediate
            };
            self.judge_certificate(role, anchor, &site.certificate);
        }
        let path = chain
            .device_path(anchor, root)
            .map_err(|source| Refusal::Chain {
                path: chain_file.clone(),
                site: Some(site.name.clone()),
                source,
            });
        let path = self.accept(path)?;
        self.note(&path);
        self.judge_size(site, &path);
        if path.lacks_root() {
            self.warnings
                .push(Warning::root_not_counted(chain_file, path.topmost()));
        }
        for (role, certificate) in path.roles().skip(1) {
            let key_use = certificate.key_use();
            // Version 1 roots have no extensions, and every device trusts them all the same.
            let is_old_root = role == Role::Root && key_use.is_ca.is_none();
            if (key_use.is_ca != Some(true) && !is_old_root)
                || key_use.certificate_sign == Some(false)
            {
                let file = if certificate == anchor {
                    &site.certificate
                } else {
                    chain_file
                };
                self.warnings
                    .push(Warning::issuer_not_ca(role, certificate, file));
            }
        }
        Some(path)
    }

    fn judge_size(&mut self, site: &SiteConfig, path: &DevicePath) {
        let file = &self.config.https.certificate;
        match path.size() {
            found if found > MAX_CHAIN_BYTES => self.refusals.push(Refusal::ChainTooLarge {
                path: file.clone(),
                site: site.name.clone(),
                found,
                sum: path.sum_text(),
            }),
            found if found > TIGHT_CHAIN_BYTES => self.warnings.push(Warning::tight(file, found)),
            _ => {}
        }
    }

    /// Time, key and signature of one certificate.
    fn judge_certificate(&mut self, role: Role, certificate: &Certificate, path: &Path) {
        let (subject, path_buf) = (certificate.subject().to_owned(), path.to_owned());
        let (validity, now) = (certificate.validity(), self.now);
        if validity.is_over(now) {
            let not_after = validity.not_after;
            self.refusals.push(Refusal::Expired {
                role,
                subject: subject.clone(),
                path: path_buf.clone(),
                not_after,
                now,
            });
        } else if validity.is_early(now) {
            let not_before = validity.not_before;
            self.refusals.push(Refusal::NotYetValid {
                role,
                subject: subject.clone(),
                path: path_buf.clone(),
                not_before,
                now,
            });
        } else {
            self.warnings
                .extend(Warning::expires_soon(role, certificate, path, now));
        }
        match certificate.key().clone() {
            PublicKey::Rsa {
                bits: MIN_RSA_BITS..=MAX_KEY_BITS,
            } => {}
            key @ PublicKey::Rsa { .. } => {
                self.refusals.push(Refusal::KeySize {
                    role,
                    subject,
                    path: path_buf,
                    key,
                });
            }
            PublicKey::Ec { .. } => self
                .warnings
                .push(Warning::ecdsa_key(role, certificate, path)),
            key @ PublicKey::Other { .. } => {
                self.refusals.push(Refusal::UnsupportedKey {
                    role,
                    subject,
                    path: path_buf,
                    key,
                });
            }
        }
        if let Some(hash) = certificate.weak_signature() {
            self.warnings
                .push(Warning::weak_signature(role, certificate, path, hash));
        }
    }

    /// What strict TLS clients expect of a server certificate, and a device may one day.
    fn judge_leaf(&mut self, leaf: &Certificate, path: &Path) {
        let key_use = leaf.key_use();
        if key_use.is_ca == Some(true) {
            self.warnings.push(Warning::leaf_is_ca(leaf, path));
        }
        self.warnings.extend(Warning::leaf_extensions(leaf, path));
        for (allowed, name) in [
            (key_use.server_auth, "serverAuth in extKeyUsage"),
            (key_use.digital_signature, "digitalSignature in keyUsage"),
        ] {
            if allowed == Some(false) {
                self.warnings.push(Warning::leaf_use(leaf, path, name));
            }
        }
        let host = self.base_url.host();
        let names = leaf.alt_names();
        if !names.iter().any(|name| name_is(name, host)) {
            self.warnings.push(Warning::name_missing(leaf, path, host));
        } else if !names
            .iter()
            .any(|name| matches!(name, SubjectAltName::Dns(_)))
        {
            self.warnings.push(Warning::name_only_as_ip(leaf, path));
        }
    }

    fn judge_secrecy(&mut self, path: &Path) {
        if let Some(mode) = platform::mode_readable_by_others(path) {
            let warning = Warning::key_readable(path, mode);
            // Sites may share a key file.
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Serves an announced certificate by its file name, from the bytes that were hashed.
    fn serve(&mut self, name: FileName, path: &Path, certificate: &Certificate) {
        match self.served.get(&name) {
            Some((other, shelved)) if shelved != certificate => {
                self.refusals.push(Refusal::SameName {
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

    /// Adds the certificates of a path to the inventory, each once.
    fn note(&mut self, path: &DevicePath) {
        for (role, certificate) in path.roles() {
            let fingerprint_sha256 = certificate.fingerprint().to_string();
            if self
                .inventory
                .certificates
                .iter()
                .any(|known| known.fingerprint_sha256 == fingerprint_sha256)
            {
                continue;
            }
            self.expiries.push(Expiry {
                role: role.to_string(),
                subject: certificate.subject().to_owned(),
                not_after: certificate.validity().not_after,
                fingerprint: fingerprint_sha256.clone(),
            });
            self.inventory.certificates.push(CertificateEntry {
                role: role.to_string(),
                subject: certificate.subject().to_owned(),
                size_bytes: certificate.size(),
                key: certificate.key().to_string(),
                not_after: certificate.validity().not_after.to_string(),
                days_left: certificate.validity().days_left(self.now),
                fingerprint_sha256,
            });
        }
    }

    /// Keeps going after a refusal: the value, or `None` and a refusal noted.
    fn accept<T, E: Into<Refusal>>(&mut self, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|refusal| self.refusals.push(refusal.into()))
            .ok()
    }
}

fn name_is(name: &SubjectAltName, host: &HostName) -> bool {
    match (name, host) {
        (SubjectAltName::Ip(name), HostName::Ip(host)) => name == host,
        (SubjectAltName::Dns(name), HostName::Dns(host)) => {
            // One left-most label may be a wildcard (RFC 6125 section 6.4.3).
            let rest = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_owned());
            name == host || (name.starts_with("*.") && rest(name) == rest(host))
        }
        _ => false,
    }
}
