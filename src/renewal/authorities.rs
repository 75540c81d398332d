//! Who issues a server certificate, and where it lies.

use std::path::{Path, PathBuf};

use super::RenewError;
use super::swap::PairFiles;
use crate::config::Config;
use crate::staged_file::folder;
use engage_wire::pki::issue::{CertifiedIssuer, IssueError, ValidityPolicy};
use engage_wire::pki::{Certificate, PrivateKey, load_certificate_der};

/// What messages call it.
const INTERMEDIATE: &str = "intermediate certificate";

/// The file name of a root's key.
pub(crate) const ROOT_KEY: &str = "partner_CA.key";

/// Where `init` puts authorities: keys beside the server's, the intermediate beside the first announced
/// certificate.
#[derive(Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) intermediate: PairFiles,
    /// The site that announces the intermediate.
    announced_by: Option<String>,
    pub(crate) root_key: PathBuf,
}

impl AuthorityFiles {
    pub(crate) fn from_config(config: &Config) -> Self {
        let keys = folder(&config.https.private_key);
        let first = config.sites.first().map(|it| folder(&it.certificate));
        let certificate = first.unwrap_or(keys).join("partner_intermediate.der");
        let mut sites = config.sites.iter();
        let announcing = sites.find(|it| it.certificate == certificate);
        Self {
            announced_by: announcing.map(|site| site.name.to_string()),
            root_key: keys.join(ROOT_KEY),
            intermediate: PairFiles {
                certificate,
                key: keys.join("partner_intermediate.key"),
            },
        }
    }

    /// Whether devices are told to trust the intermediate.
    pub(crate) fn is_intermediate_announced(&self) -> bool {
        self.announced_by.is_some()
    }

    pub(super) fn present_intermediate(&self) -> Result<Certificate, RenewError> {
        Ok(load_certificate_der(
            INTERMEDIATE,
            &self.intermediate.certificate,
        )?)
    }

    /// The intermediate with its key.
    pub(super) fn intermediate(&self) -> Result<CertifiedIssuer, RenewError> {
        existing_issuer(
            INTERMEDIATE,
            &self.intermediate.certificate,
            &self.intermediate.key,
        )
    }

    /// One that the root issues now, with `key`.
    pub(super) fn new_intermediate(
        &self,
        config: &Config,
        key: &Path,
        validity_policy: &ValidityPolicy,
    ) -> Result<CertifiedIssuer, RenewError> {
        if let Some(site) = &self.announced_by {
            return Err(RenewError::Announced {
                path: self.intermediate.certificate.clone(),
                site: site.clone(),
            });
        }
        // None announces the intermediate, and a configuration without a site does not exist.
        let path = &config.sites[0].certificate;
        let root = existing_issuer("root certificate", path, key)?;
        root.issue_intermediate_beside(&[self.present_intermediate()?], validity_policy)
            .map_err(RenewError::issuing("an intermediate certificate"))
    }
}

/// An authority whose certificate and key lie in these files.
pub(crate) fn existing_issuer(
    what: &'static str,
    path: &Path,
    key: &Path,
) -> Result<CertifiedIssuer, RenewError> {
    let certificate = load_certificate_der(what, path)?;
    let key_of = PrivateKey::load_for(key, &certificate)?;
    CertifiedIssuer::from_existing(certificate, key_of).map_err(|source| match source {
        IssueError::ForeignKey { .. } | IssueError::UnusableKey => RenewError::IssuerKey {
            key: key.to_owned(),
            certificate: path.to_owned(),
            source,
        },
        source => RenewError::issuing("from an existing authority")(source),
    })
}
