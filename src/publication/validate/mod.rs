//! The proof: everything that a device would check, checked first.

mod checks;
mod report;
mod site;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::inventory::Inventory;
use super::refusal::{Refusal, Refusals};
use super::static_files::{FileName, StaticCertificates};
use super::{Expiry, Publication, Warning};
use crate::config::{BaseUrl, Config};
use crate::tls::TlsIdentity;
use engage_wire::pki::device_profile::{DeviceProfile, Judgement};
use engage_wire::pki::{
    Certificate, PrivateKey, Role, ServerChain, load_certificate_chain, load_der_or_pem,
};
use jiff::Timestamp;
use report::Report;
use site::{Anchor, ValidatedSite};

/// What a proof found.
#[derive(Debug)]
pub struct Validation {
    /// Everything that was looked at.
    pub inventory: Inventory,
    /// What devices accept, but somebody should look at.
    pub warnings: Vec<Warning>,
    /// What can be served, or why nothing is. Where only the time of the server's chain stands
    /// against it, what can be served in clear text: devices can still be told which certificate
    /// to install, and fetch it.
    pub outcome: Result<Publication, Refusals>,
}

/// Reads every file that `config` names and proves that a device would accept what they say.
///
/// Finds as much as it can before it gives up: whoever repairs a configuration at night wants
/// all of its faults at once.
#[must_use]
pub fn validate(config: &Config, base_url: &BaseUrl, now: Timestamp) -> Validation {
    let mut validator = Validator {
        config,
        base_url,
        report: Report::new(now),
        inventory: Inventory::default(),
        anchors: HashMap::new(),
        expiries: Vec::new(),
        served: BTreeMap::new(),
    };
    let publication = validator.publication();
    let Validator {
        report: Report {
            warnings, refusals, ..
        },
        inventory,
        ..
    } = validator;
    Validation {
        inventory,
        warnings,
        outcome: match (publication, Refusals::new(refusals)) {
            (Some(publication), None) => Ok(publication),
            (Some(publication), Some(refusals))
                if refusals.iter().all(Refusal::is_about_time)
                    && publication.are_anchors_valid_at(now) =>
            {
                Ok(Publication {
                    identity: Err(refusals),
                    ..publication
                })
            }
            (_, Some(refusals)) => Err(refusals),
            (None, None) => unreachable!("nothing is withheld without a refusal"),
        },
    }
}

struct Validator<'a> {
    config: &'a Config,
    base_url: &'a BaseUrl,
    report: Report,
    inventory: Inventory,
    /// Announced certificates by file: thousands of sites may share one.
    anchors: HashMap<PathBuf, Option<Arc<Anchor>>>,
    expiries: Vec<Expiry>,
    /// What is served under which file name, and where it came from.
    served: BTreeMap<FileName, (PathBuf, Certificate)>,
}

impl Validator<'_> {
    /// `None` only after at least one refusal.
    fn publication(&mut self) -> Option<Publication> {
        self.check_base_url();
        self.check_sites();
        let chain = self.chain();
        let identity = chain.as_ref().and_then(|chain| self.identity(chain));
        self.load_static_files();
        let root = self.root();
        let sites: Vec<_> = self
            .config
            .sites
            .iter()
            .map(|site| self.site(site, chain.as_ref(), root.as_ref()))
            .collect();
        self.inventory.served_files = self.served.len();
        let sites = sites.into_iter().collect::<Option<Vec<_>>>()?;
        Some(self.assemble(identity?, sites))
    }

    fn assemble(&mut self, identity: TlsIdentity, sites: Vec<ValidatedSite>) -> Publication {
        let certificates = std::mem::take(&mut self.served)
            .into_iter()
            .map(|(name, (_, certificate))| {
                (
                    name.request_path(),
                    Bytes::copy_from_slice(certificate.der()),
                )
            })
            .collect();
        let chain_bytes = self
            .inventory
            .sites
            .iter()
            .filter_map(|site| site.chain_bytes)
            .max();
        let mut publication = Publication {
            certificates,
            sites: HashMap::new(),
            default_site: None,
            identity: Ok(identity),
            expiries: std::mem::take(&mut self.expiries),
            chain_bytes: chain_bytes.unwrap_or(0),
        };
        for ValidatedSite { hosts, site } in sites {
            let site = Arc::new(site);
            if hosts.is_empty() {
                publication.default_site = Some(site);
                continue;
            }
            let by_host = hosts.into_iter().map(|host| (host, Arc::clone(&site)));
            publication.sites.extend(by_host);
        }
        publication
    }

    /// The server's chain, its length aside: that depends on what a site announces.
    fn chain(&mut self) -> Option<ServerChain> {
        let path = &self.config.https.certificate;
        let certificates = self
            .report
            .accept(load_certificate_chain("server certificate", path))?;
        let file_of = |_: &Certificate| Some(path.clone());
        let profile = DeviceProfile::with_files(self.report.now, &file_of);
        let Judgement {
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
        let key = self.report.accept(PrivateKey::load(path))?;
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
