//! Which certificates are missing, and who can issue them.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::clock;
use super::error::InitError;
use super::hosts;
use super::layout::{IntermediatePaths, Layout, PairPaths, RootPaths, exists};
use super::replaced::Replaced;
use crate::config::Config;
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers};
use crate::platform::FileAccess;
use crate::renewal::existing_issuer;
use engage_wire::HostName;
use engage_wire::limits::MAX_CHAIN_BYTES;
use engage_wire::pki::issue::{CertifiedIssuer, ValidityPolicy};
use engage_wire::pki::{Certificate, LineEnding, ServerChain, load_certificate_der};
use jiff::Timestamp;
use serde::Serialize;

/// What is to be written, in an order in which every key precedes its certificate.
#[derive(Default)]
pub(super) struct Issuance {
    pub(super) files: Vec<NewFile>,
    pub(super) server: Option<NewServer>,
}

/// A server certificate that was issued now.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct NewServer {
    pub(in crate::cli) hosts: Vec<String>,
    /// The certificate that it replaces, if its names were taken over.
    #[serde(skip)]
    pub(in crate::cli) names_from: Option<PathBuf>,
    pub(in crate::cli) not_after: Timestamp,
    /// Of server certificate, intermediate and root.
    pub(in crate::cli) chain_bytes: usize,
}

/// Issues what the configuration needs and does not find, from the authorities that exist.
///
/// Without `given` hosts the server certificate is for those of the one that it replaces, or for
/// what the configuration and this computer say of themselves.
pub(super) fn missing(
    layout: &Layout,
    config: &Config,
    given: &[HostName],
    validity_policy: &ValidityPolicy,
) -> Result<Issuance, Failure> {
    if layout.server.exist()? {
        let IntermediatePaths { pair, is_announced } = &layout.intermediate;
        if *is_announced && !exists(&pair.certificate)? {
            return Err(
                InitError::anchor_lost(&pair.certificate, &layout.server.certificate).into(),
            );
        }
        return Ok(Issuance {
            files: missing_anchors(&layout.root, &layout.server.certificate)?,
            server: None,
        });
    }
    let Authorities {
        mut files,
        root,
        intermediate,
    } = Authorities::found_or_new(layout, validity_policy)?;
    let replaced = Replaced::find(&layout.server, intermediate.certificate());
    refuse_implausible_clock(
        validity_policy.now(),
        intermediate.certificate(),
        replaced.as_ref(),
    )?;
    let hosts = hosts::names(given, replaced.as_ref(), config);
    let server = intermediate
        .issue_server(&hosts, validity_policy)
        .map_err(InitError::issuing("a server certificate"))?;
    let chain = [server.certificate(), intermediate.certificate()];
    let chain_bytes = validate(layout, chain.map(Clone::clone).into(), root.as_ref())?;
    files.extend(server_files(layout, &server, &chain, replaced.as_ref()));
    Ok(Issuance {
        files,
        server: Some(NewServer {
            not_after: server.certificate().validity().not_after,
            names_from: replaced.filter(|_| given.is_empty()).map(|it| it.path),
            hosts: hosts.iter().map(HostName::to_string).collect(),
            chain_bytes,
        }),
    })
}

/// Key and chain, accessible as those that they replace, or as the other secrets of the daemon.
fn server_files(
    layout: &Layout,
    server: &CertifiedIssuer,
    chain: &[&Certificate],
    replaced: Option<&Replaced>,
) -> [NewFile; 2] {
    let secrets = || {
        let mut keys = layout.site_keys.iter();
        keys.find_map(|path| FileAccess::from_path(path).ok())
    };
    let key_access = replaced
        .and_then(|it| it.key_access.clone())
        .or_else(secrets);
    let certificate_access = replaced
        .and_then(|it| it.certificate_access.clone())
        .or_else(secrets);
    let PairPaths { certificate, key } = layout.server.clone();
    let what = "server certificate and intermediate";
    [
        NewFile::new(
            key,
            key_pem(server),
            "server key",
            Readers::Daemon(key_access),
        ),
        NewFile::new(
            certificate,
            pem(chain.iter().copied()),
            what,
            Readers::Daemon(certificate_access),
        ),
    ]
}

fn refuse_implausible_clock(
    now: Timestamp,
    issuer: &Certificate,
    replaced: Option<&Replaced>,
) -> Result<(), InitError> {
    let issuer = (
        format!("`{}`", issuer.subject()),
        issuer.validity().not_before,
    );
    let replaced = replaced.map(|it| (format!("`{}`", it.path.display()), it.not_before));
    clock::refuse_implausible(now, [issuer].into_iter().chain(replaced))
}

/// Who issues the server certificate, and what must be written so that they exist.
struct Authorities {
    files: Vec<NewFile>,
    /// Not known where only the intermediate is announced.
    root: Option<Certificate>,
    intermediate: CertifiedIssuer,
}

impl Authorities {
    fn found_or_new(layout: &Layout, validity_policy: &ValidityPolicy) -> Result<Self, Failure> {
        let pair = &layout.intermediate.pair;
        if pair.exist()? {
            return Self::renewing(layout);
        }
        let (root, mut files) = root(&layout.root, validity_policy)?;
        let intermediate = root
            .issue_intermediate(validity_policy)
            .map_err(InitError::issuing("an intermediate certificate"))?;
        files.extend([
            key_file(&pair.key, &intermediate, "intermediate key"),
            NewFile::certificate(
                &pair.certificate,
                intermediate.certificate(),
                "intermediate certificate",
            ),
        ]);
        Ok(Self {
            files,
            root: Some(root.certificate().clone()),
            intermediate,
        })
    }

    /// From the intermediate that exists, so that devices keep the root that they have.
    fn renewing(layout: &Layout) -> Result<Self, Failure> {
        let root = layout.root.existing()?;
        let root = root.map(|path| load_certificate_der("root certificate", path));
        let pair = &layout.intermediate.pair;
        Ok(Self {
            files: missing_anchors(&layout.root, &pair.certificate)?,
            root: root.transpose()?,
            intermediate: existing_issuer(ISSUER, &pair.certificate, &pair.key)?,
        })
    }
}

/// The root, and the files that are missing of it.
fn root(
    paths: &RootPaths,
    validity_policy: &ValidityPolicy,
) -> Result<(CertifiedIssuer, Vec<NewFile>), Failure> {
    let has_key = exists(&paths.key)?;
    match paths.existing()? {
        Some(path) if has_key => {
            let root = existing_issuer(ISSUER, path, &paths.key)?;
            Ok((root, missing_anchors(paths, path)?))
        }
        Some(root) => Err(InitError::RootKeyAway {
            root: root.to_owned(),
            key: paths.key.clone(),
        }
        .into()),
        None if has_key => Err(InitError::HalfPair {
            exists: paths.key.clone(),
            missing: paths.certificates[0].clone(),
        }
        .into()),
        None => {
            clock::refuse_implausible(validity_policy.now(), [])?;
            let root = CertifiedIssuer::root(validity_policy)
                .map_err(InitError::issuing("a root certificate"))?;
            let mut files = vec![key_file(&paths.key, &root, "root key")];
            let certificates = paths.certificates.iter();
            files.extend(certificates.map(|path| root_file(path, root.certificate())));
            Ok((root, files))
        }
    }
}

/// Announced files that are missing although `below` exists, which was issued under them: copies
/// of the root if another announced file still is one. A root cannot be made again.
fn missing_anchors(root: &RootPaths, below: &Path) -> Result<Vec<NewFile>, Failure> {
    let mut files = Vec::new();
    for path in root.certificates.iter().filter(|_| root.is_announced) {
        if exists(path)? {
            continue;
        }
        let other = root
            .existing()?
            .ok_or_else(|| InitError::anchor_lost(path, below))?;
        let root = load_certificate_der("root certificate", other)?;
        files.push(root_file(path, &root));
    }
    Ok(files)
}

/// Checks that a device accepts the new chain, whichever announced certificate it trusts.
/// Returns the largest DER total.
fn validate(
    layout: &Layout,
    chain: Vec<Certificate>,
    root: Option<&Certificate>,
) -> Result<usize, Failure> {
    let refused = |source| InitError::NotOneChain {
        server: layout.server.certificate.clone(),
        source: Box::new(source),
    };
    let intermediate = chain[chain.len() - 1].clone();
    let chain = ServerChain::parse(chain).map_err(refused)?;
    let mut anchors = vec![root.cloned().unwrap_or(intermediate)];
    for path in &layout.root.certificates {
        if exists(path)? {
            anchors.push(load_certificate_der("announced certificate", path)?);
        }
    }
    let mut largest = 0;
    for anchor in &anchors {
        let path = chain.device_path(anchor, None).map_err(refused)?;
        largest = largest.max(path.size());
    }
    if largest > MAX_CHAIN_BYTES {
        return Err(InitError::TooLarge { found: largest }.into());
    }
    Ok(largest)
}

fn key_file(path: &Path, issued: &CertifiedIssuer, what: &'static str) -> NewFile {
    NewFile::new(path.to_owned(), key_pem(issued), what, Readers::Owner)
}

pub(in crate::cli) fn key_pem(issued: &CertifiedIssuer) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(issued.key_pem().as_bytes().to_vec())
}

fn root_file(path: &Path, root: &Certificate) -> NewFile {
    NewFile::certificate(path, root, "root certificate, for devices")
}

/// One section after another: the form in which the server reads its chain.
pub(in crate::cli) fn pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Vec<u8> {
    let certificates = certificates.into_iter();
    let sections = certificates.map(|it| it.to_pem(LineEnding::LF));
    sections.collect::<String>().into_bytes()
}

/// What messages call it.
const ISSUER: &str = "issuer certificate";
