//! What is held against addresses, secrets and certificates.

use std::path::Path;

use super::report::MAX_OF_A_KIND;
use super::{Report, Validator};
use crate::config::SiteConfig;
use crate::publication::Warning;
use crate::secret_file::ReadableByOthers;
use engage_wire::HostName;
use engage_wire::pki::Certificate;

impl Validator<'_> {
    pub(super) fn check_base_url(&mut self) {
        if self.base_url.is_https() {
            self.report.warn(Warning::HttpsBaseUrl);
        }
        if !self.base_url.path().is_empty() {
            self.report.warn(Warning::BaseUrlPath {
                base_url: self.base_url.to_string(),
            });
        }
        let is_loopback = matches!(self.base_url.host(), HostName::Ip(ip) if ip.is_loopback());
        if self.config.base_url.is_none() && is_loopback {
            self.report.warn(Warning::LoopbackBaseUrl {
                base_url: self.base_url.to_string(),
            });
        }
    }

    /// Devices that are sent to `base_url` must find a site there.
    pub(super) fn check_sites(&mut self) {
        let host = self.base_url.host();
        let answers = |site: &SiteConfig| site.hosts.is_default() || site.hosts.contains(host);
        if !self.config.sites.iter().any(|site| answers(site)) {
            self.report
                .warn(Warning::NoSiteAtBaseUrl { host: host.clone() });
        }
    }

    /// Devices that are told a site's host find it in the server certificate, or may refuse it.
    pub(super) fn check_site_hosts(&mut self, leaf: &Certificate) {
        let names = leaf.alt_names();
        let is_missing = |host: &HostName| {
            host != self.base_url.host() && !names.iter().any(|name| name.matches(host))
        };
        let mut told = 0;
        for site in &self.config.sites {
            let SiteConfig { name, hosts, .. } = &**site;
            if !hosts.iter().any(is_missing) {
                continue;
            }
            told += 1;
            if told > MAX_OF_A_KIND {
                self.report.leave_out();
                continue;
            }
            let missing = hosts.iter().filter(|host| is_missing(host));
            let missing: Vec<_> = missing.map(|host| format!("`{host}`")).collect();
            self.report.warn(Warning::SiteHostNotNamed {
                site: name.clone(),
                hosts: missing.join(", "),
                names: leaf.alt_names_text(),
            });
        }
    }
}

impl Report {
    pub(super) fn check_secrecy(&mut self, path: &Path) {
        if let Some(warning) = readable_by_others(path) {
            self.warn(warning);
        }
    }
}

/// A secret file that others can read.
pub(super) fn readable_by_others(path: &Path) -> Option<Warning> {
    ReadableByOthers::find("secret file", path).map(Warning::KeyReadable)
}
