//! A new server certificate under the authorities that devices trust already: `engage-host renew`, and
//! the daemon by itself.
//!
//! It is made in memory, written beside the present one, and validated there as `serve` would validate it; only
//! then it takes its place.

mod authorities;
mod auto;
mod error;
mod swap;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::{BaseUrl, Config};
use crate::publication::{Publication, Refusals, Warning, validate};
use crate::staged_file::{folder, lock_folder};
use engage_wire::HostName;
use engage_wire::pki::issue::{CertifiedIssuer, ValidityPolicy};
use engage_wire::pki::{Certificate, LineEnding, SubjectAltName, load_certificate_chain};
use engage_wire::site::SiteName;

pub(crate) use authorities::{AuthorityFiles, ROOT_KEY, existing_issuer};
pub(crate) use auto::{like_present, warnings};
pub(crate) use error::RenewError;
use swap::old_folder;
pub(crate) use swap::{PairFiles, StagedPair, kept_aside};

/// What is to be renewed.
pub(crate) struct Renewal<'a> {
    pub(crate) config: &'a Config,
    /// What devices are told.
    pub(crate) base_url: &'a BaseUrl,
    /// For whom; none: for those of the present certificate.
    pub(crate) hosts: &'a [HostName],
    pub(crate) validity_policy: ValidityPolicy,
    /// The root's key, if it is to issue a new intermediate.
    pub(crate) root_key: Option<&'a Path>,
    /// Whether to give up where the new certificate would end no later than the present one.
    pub(crate) must_outlast: bool,
}

/// What took the place of what.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) hosts: Vec<String>,
    pub(crate) not_after: Timestamp,
    /// Of all certificates that a device counts.
    pub(crate) chain_bytes: usize,
    pub(crate) replaced: Vec<PathBuf>,
    /// Copies of what was replaced.
    pub(crate) kept: Vec<PathBuf>,
    /// What should be looked at in what is served now.
    pub(crate) warnings: Vec<Warning>,
}

impl Renewal<'_> {
    /// Makes it, validates it, and puts it in place. Whatever it fails of, what was there is there still.
    pub(crate) fn execute(&self) -> Result<Renewed, RenewError> {
        let _lock = lock_folder(folder(&self.config.path))?;
        let files = AuthorityFiles::from_config(self.config);
        let server = PairFiles {
            certificate: self.config.https.certificate.clone(),
            key: self.config.https.private_key.clone(),
        };
        let present = load_certificate_chain("server certificate", &server.certificate)?;
        let issuer = self.issuer(&files)?;
        if self.must_outlast {
            self.refuse_early_clock(&present[0], &server.certificate)?;
        }
        let hosts = self.hosts_of(&present[0])?;
        let issued = issuer
            .issue_server(&hosts, &self.validity_policy)
            .map_err(RenewError::issuing("a server certificate"))?;
        let not_after = issued.certificate().validity().not_after;
        self.refuse_no_gain(&present[0], not_after)?;
        let chain = chain(&issued, &issuer, &present);
        let staged = server.stage(issued.key_pem().as_bytes(), &pem(&chain))?;
        let (publication, warnings) = self.validate(&staged)?;
        let mut kept = server.keep_aside(&present[0])?;
        let mut replaced = Vec::new();
        if self.root_key.is_some() {
            // First: the server certificate that is there still is not issued again, so it needs neither.
            let pair = &files.intermediate;
            let der = issuer.certificate().der();
            let new = pair.stage(issuer.key_pem().as_bytes(), der)?;
            kept.extend(pair.keep_aside(&files.present_intermediate()?)?);
            replaced.extend(new.swap()?);
        }
        replaced.extend(staged.swap()?);
        Ok(Renewed {
            hosts: hosts.iter().map(HostName::to_string).collect(),
            not_after,
            chain_bytes: publication.chain_bytes(),
            replaced,
            kept,
            warnings,
        })
    }

    fn issuer(&self, files: &AuthorityFiles) -> Result<CertifiedIssuer, RenewError> {
        if let Some(key) = self.root_key {
            return files.new_intermediate(self.config, key, &self.validity_policy);
        }
        let issuer = files.intermediate()?;
        self.refuse_early_clock(issuer.certificate(), &files.intermediate.certificate)?;
        Ok(issuer)
    }

    /// As `serve` would validate it: no site may be bad that is good with what is there.
    fn validate(&self, staged: &StagedPair) -> Result<(Publication, Vec<Warning>), RenewError> {
        let validated = |config| {
            validate(
                config,
                self.base_url,
                self.validity_policy.now(),
                None,
                None,
            )
        };
        let bad_now: HashSet<SiteName> = validated(self.config).outcome.map_or_else(
            |_| HashSet::new(),
            |it| {
                it.bad_sites()
                    .iter()
                    .map(|site| site.name.clone())
                    .collect()
            },
        );
        let mut candidate = self.config.clone();
        candidate.https.certificate.clone_from(staged.certificate());
        candidate.https.private_key.clone_from(staged.key());
        let validation = validated(&candidate);
        let refused = |refusals: Refusals| RenewError::Rejected(Box::new(refusals));
        let publication = validation
            .outcome
            .and_then(Publication::with_identity)
            .map_err(refused)?;
        if publication
            .bad_sites()
            .iter()
            .all(|it| bad_now.contains(&it.name))
        {
            return Ok((publication, validation.warnings));
        }
        Err(refused(publication.whole().err().unwrap_or_default()))
    }

    fn hosts_of(&self, present: &Certificate) -> Result<Vec<HostName>, RenewError> {
        if !self.hosts.is_empty() {
            return Ok(self.hosts.to_vec());
        }
        let hosts: Vec<_> = present
            .alt_names()
            .iter()
            .filter_map(SubjectAltName::host)
            .collect();
        if hosts.is_empty() {
            let path = self.config.https.certificate.clone();
            return Err(RenewError::NoNames { path });
        }
        Ok(hosts)
    }

    /// A clock without a battery would date what is then not valid. Where it was ahead when the server
    /// certificate was issued, only that is from the future, and is to be replaced.
    fn refuse_early_clock(&self, certificate: &Certificate, path: &Path) -> Result<(), RenewError> {
        let (now, since) = (
            self.validity_policy.now(),
            certificate.validity().not_before,
        );
        if now < since {
            return Err(RenewError::Clock {
                now,
                path: path.to_owned(),
                since,
                old: old_folder(path),
            });
        }
        Ok(())
    }

    fn refuse_no_gain(&self, present: &Certificate, end: Timestamp) -> Result<(), RenewError> {
        if self.must_outlast && end <= present.validity().not_after {
            return Err(RenewError::NoGain { end });
        }
        Ok(())
    }
}

/// The new certificate, its issuer, and what is sent above that today.
fn chain(
    issued: &CertifiedIssuer,
    issuer: &CertifiedIssuer,
    present: &[Certificate],
) -> Vec<Certificate> {
    let issuer = issuer.certificate();
    let above = present
        .iter()
        .skip_while(|it| issuer.verify_issued_by(it).is_err());
    let below = [issued.certificate(), issuer];
    let chain = below.into_iter().chain(above.filter(|it| *it != issuer));
    chain.cloned().collect()
}

fn pem(chain: &[Certificate]) -> Vec<u8> {
    let sections = chain.iter().map(|it| it.to_pem(LineEnding::LF));
    sections.collect::<String>().into_bytes()
}
