//! The proof: everything that a device would check, checked first.

mod findings;
mod judge;
mod site;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::inventory::Inventory;
use super::refusal::{Refusal, Refusals};
use super::shelf::{FileName, Shelf};
use super::{Expiry, Publication, Warning};
use crate::config::{BaseUrl, Config};
use crate::tls::TlsIdentity;
use engage_wire::limits::MAX_CHAIN_BYTES;
use engage_wire::pki::{
    Certificate, PrivateKey, Role, ServerChain, load_certificate_chain, load_der_or_pem,
};
use findings::Findings;
use jiff::Timestamp;
use site::{Anchor, ProvenSite};

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
    let mut prover = Prover {
        config,
        base_url,
        findings: Findings::at(now),
        inventory: Inventory::default(),
        anchors: HashMap::new(),
        expiries: Vec::new(),
        served: BTreeMap::new(),
    };
    let publication = prover.publication();
    let Prover {
        findings: Findings {
            warnings, refusals, ..
        },
        inventory,
        ..
    } = prover;
    Proof {
        inventory,
        warnings,
        verdict: match (publication, Refusals::new(refusals)) {
            (Some(publication), None) => Ok(publication),
            (_, Some(refusals)) => Err(refusals),
            (None, None) => unreachable!("nothing is withheld without a refusal"),
        },
    }
}

struct Prover<'a> {
    config: &'a Config,
    base_url: &'a BaseUrl,
    findings: Findings,
    inventory: Inventory,
    /// Announced certificates by file: thousands of sites may share one.
    anchors: HashMap<PathBuf, Option<Arc<Anchor>>>,
    expiries: Vec<Expiry>,
    /// What is served under which file name, and where it came from.
    served: BTreeMap<FileName, (PathBuf, Certificate)>,
}

impl Prover<'_> {
    /// `None` only after at least one refusal.
    fn publication(&mut self) -> Option<Publication> {
        self.judge_base_url();
        self.judge_sites();
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
        let sites = sites.into_iter().collect::<Option<Vec<_>>>()?;
        Some(self.assembled(identity?, sites))
    }

    fn assembled(&mut self, identity: TlsIdentity, sites: Vec<ProvenSite>) -> Publication {
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
            identity,
            expiries: std::mem::take(&mut self.expiries),
            chain_bytes: chain_bytes.unwrap_or(0),
        };
        for ProvenSite { hosts, site } in sites {
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
            .findings
            .accept(load_certificate_chain("server certificate", path))?;
        let chain = ServerChain::parse(certificates).map_err(|source| Refusal::Chain {
            path: path.clone(),
            site: None,
            source,
        });
        let chain = self.findings.accept(chain)?;
        let message_bytes = chain.certificate_message_bytes();
        self.inventory.certificate_message_bytes = Some(message_bytes);
        if message_bytes > MAX_CHAIN_BYTES {
            self.findings
                .warn(Warning::certificate_message(path, message_bytes));
        }
        for (at, certificate) in chain.certificates().iter().enumerate() {
            self.findings
                .judge_certificate(Role::at(at, certificate), certificate, path);
        }
        self.findings
            .judge_leaf(chain.leaf(), self.base_url.host(), path);
        Some(chain)
    }

    fn identity(&mut self, chain: &ServerChain) -> Option<TlsIdentity> {
        let path = &self.config.https.private_key;
        let key = self.findings.accept(PrivateKey::load(path))?;
        self.findings.judge_secrecy(path);
        let identity = TlsIdentity::prove(chain, key).map_err(|source| Refusal::Key {
            path: path.clone(),
            source,
        });
        self.findings.accept(identity)
    }

    fn root(&mut self) -> Option<Certificate> {
        let path = self.config.https.root.as_ref()?;
        let root = self
            .findings
            .accept(load_der_or_pem("root certificate", path))?;
        self.findings.judge_certificate(Role::Root, &root, path);
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
        }) = self.findings.accept(shelf)
        {
            self.served.extend(certificates);
            for warning in warnings {
                self.findings.warn(warning);
            }
        }
    }
}
