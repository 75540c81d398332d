//! What is held against single certificates, files and addresses.

use std::path::Path;

use super::{Report, Validator};
use crate::config::SiteConfig;
use crate::platform;
use crate::publication::{Refusal, Warning};
use engage_wire::HostName;
use engage_wire::limits::{MAX_KEY_BITS, MIN_RSA_BITS};
use engage_wire::pki::{Certificate, PublicKey, Role, SubjectAltName};

impl Validator<'_> {
    pub(super) fn check_base_url(&mut self) {
        if self.base_url.is_https() {
            self.report.warn(Warning::https_base_url());
        }
        if !self.base_url.path().is_empty() {
            let warning = Warning::base_url_path(&self.base_url.to_string());
            self.report.warn(warning);
        }
        let is_loopback = matches!(self.base_url.host(), HostName::Ip(ip) if ip.is_loopback());
        if self.config.base_url.is_none() && is_loopback {
            self.report
                .warn(Warning::derived_base_url(&self.base_url.to_string()));
        }
    }

    /// Devices that are sent to `base_url` must find a site there.
    pub(super) fn check_sites(&mut self) {
        let host = self.base_url.host();
        let answers = |site: &SiteConfig| site.hosts.is_empty() || site.hosts.contains(host);
        if !self.config.sites.iter().any(answers) {
            self.report.warn(Warning::no_site_at_base_url(host));
        }
    }
}

impl Report {
    /// Time, key and signature of one certificate.
    pub(super) fn check_certificate(&mut self, role: Role, certificate: &Certificate, path: &Path) {
        self.check_time(role, certificate, path);
        self.check_key(role, certificate, path);
        if let Some(oid) = &certificate.key_use().unknown_critical {
            self.warn(Warning::unknown_critical(role, certificate, path, oid));
        }
        if let Some(hash) = certificate.weak_signature() {
            self.warn(Warning::weak_signature(role, certificate, path, hash));
        }
    }

    fn check_time(&mut self, role: Role, certificate: &Certificate, path: &Path) {
        let (subject, path_buf) = (certificate.subject().to_owned(), path.to_owned());
        let (validity, now) = (certificate.validity(), self.now);
        if validity.is_over(now) {
            self.refuse(Refusal::Expired {
                role,
                subject,
                path: path_buf,
                not_after: validity.not_after,
                now,
            });
        } else if validity.is_early(now) {
            self.refuse(Refusal::NotYetValid {
                role,
                subject,
                path: path_buf,
                not_before: validity.not_before,
                now,
            });
        } else if let Some(warning) = Warning::expires_soon(role, certificate, path, now) {
            self.warn(warning);
        }
    }

    fn check_key(&mut self, role: Role, certificate: &Certificate, path: &Path) {
        let (subject, path_buf) = (certificate.subject().to_owned(), path.to_owned());
        match certificate.key().clone() {
            PublicKey::Rsa {
                bits: MIN_RSA_BITS..=MAX_KEY_BITS,
            } => {}
            key @ PublicKey::Rsa { .. } => {
                self.refuse(Refusal::KeySize {
                    role,
                    subject,
                    path: path_buf,
                    key,
                });
            }
            PublicKey::Ec { .. } => self.warn(Warning::ecdsa_key(role, certificate, path)),
            key @ PublicKey::Other { .. } => {
                self.refuse(Refusal::UnsupportedKey {
                    role,
                    subject,
                    path: path_buf,
                    key,
                });
            }
        }
    }

    /// What strict TLS clients expect of a server certificate, and a device may one day.
    pub(super) fn check_leaf(&mut self, leaf: &Certificate, host: &HostName, path: &Path) {
        let key_use = leaf.key_use();
        if key_use.is_ca == Some(true) {
            self.warn(Warning::leaf_is_ca(leaf, path));
        }
        if let Some(warning) = Warning::leaf_extensions(leaf, path) {
            self.warn(warning);
        }
        for (allowed, name) in [
            (key_use.server_auth, "serverAuth in extKeyUsage"),
            (key_use.digital_signature, "digitalSignature in keyUsage"),
        ] {
            if allowed == Some(false) {
                self.warn(Warning::leaf_use(leaf, path, name));
            }
        }
        let names = leaf.alt_names();
        if !names.iter().any(|name| name_is(name, host)) {
            self.warn(Warning::name_missing(leaf, path, host));
        } else if !names
            .iter()
            .any(|name| matches!(name, SubjectAltName::Dns(_)))
        {
            self.warn(Warning::name_only_as_ip(leaf, path));
        }
    }

    /// What every issuer is expected to say of itself.
    ///
    /// `below` is how many intermediates lie between it and the server certificate.
    pub(super) fn check_issuer(
        &mut self,
        role: Role,
        issuer: &Certificate,
        below: usize,
        path: &Path,
    ) {
        let key_use = issuer.key_use();
        if let Some(length) = key_use.path_length
            && below > usize::try_from(length).unwrap_or(usize::MAX)
        {
            self.warn(Warning::path_length(role, issuer, path, length, below));
        }
        // Version 1 roots have no extensions, and every device trusts them all the same.
        let is_old_root = role == Role::Root && key_use.is_ca.is_none();
        let is_ca = key_use.is_ca == Some(true) || is_old_root;
        if !is_ca || key_use.certificate_sign == Some(false) {
            self.warn(Warning::issuer_not_ca(role, issuer, path));
        }
    }

    pub(super) fn check_secrecy(&mut self, path: &Path) {
        if let Some(mode) = platform::mode_readable_by_others(path) {
            self.warn(Warning::key_readable(path, mode));
        }
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
