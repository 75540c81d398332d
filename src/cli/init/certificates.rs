//! Which certificates are missing, and who can issue them.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::InitError;
use super::layout::{Layout, exists};
use super::new_file::NewFile;
use engage_wire::HostName;
use engage_wire::limits::MAX_CHAIN_BYTES;
use engage_wire::pki::issue::{CertifiedIssuer, IssueError, ValidityPolicy};
use engage_wire::pki::{Certificate, LineEnding, PrivateKey, ServerChain, load_certificate_der};
use jiff::Timestamp;

/// What is to be written, in an order in which every key precedes its certificate.
#[derive(Default)]
pub(super) struct Issuance {
    pub(super) files: Vec<NewFile>,
    pub(super) server: Option<NewServer>,
}

/// A server certificate that was issued now.
#[derive(Debug)]
pub(super) struct NewServer {
    pub(super) hosts: Vec<HostName>,
    pub(super) not_after: Timestamp,
    /// Of server certificate, intermediate and root.
    pub(super) chain_bytes: usize,
}

/// Issues what the configuration needs and does not find, from the authorities that exist.
pub(super) fn missing(
    layout: &Layout,
    hosts: &[HostName],
    validity_policy: &ValidityPolicy,
) -> Result<Issuance, InitError> {
    if pair_exists(&layout.server, &layout.server_key)? {
        if layout.announces_intermediate && !exists(&layout.intermediate)? {
            return Err(InitError::anchor_lost(&layout.intermediate, &layout.server));
        }
        return Ok(Issuance {
            files: missing_anchors(layout, &layout.server)?,
            server: None,
        });
    }
    let Authorities {
        mut files,
        root,
        intermediate,
    } = Authorities::found_or_new(layout, validity_policy)?;
    let server = intermediate
        .issue_server(hosts, validity_policy)
        .map_err(InitError::issuing("a server certificate"))?;
    let chain = [server.certificate(), intermediate.certificate()];
    let chain_bytes = validate(layout, chain.map(Clone::clone).into(), root.as_ref())?;
    files.extend([
        key_file(&layout.server_key, &server, "server key"),
        NewFile::private(
            layout.server.clone(),
            pem(&chain),
            "server certificate and intermediate",
        ),
    ]);
    Ok(Issuance {
        files,
        server: Some(NewServer {
            hosts: hosts.to_vec(),
            not_after: server.certificate().validity().not_after,
            chain_bytes,
        }),
    })
}

/// Who issues the server certificate, and what must be written so that they exist.
struct Authorities {
    files: Vec<NewFile>,
    /// Not known where only the intermediate is announced.
    root: Option<Certificate>,
    intermediate: CertifiedIssuer,
}

impl Authorities {
    fn found_or_new(layout: &Layout, validity_policy: &ValidityPolicy) -> Result<Self, InitError> {
        if pair_exists(&layout.intermediate, &layout.intermediate_key)? {
            return Self::renewing(layout);
        }
        let (root, mut files) = root(layout, validity_policy)?;
        let intermediate = root
            .issue_intermediate(validity_policy)
            .map_err(InitError::issuing("an intermediate certificate"))?;
        files.extend([
            key_file(&layout.intermediate_key, &intermediate, "intermediate key"),
            certificate_file(
                &layout.intermediate,
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
    fn renewing(layout: &Layout) -> Result<Self, InitError> {
        let root =
            existing_root(layout)?.map(|path| load_certificate_der("root certificate", &path));
        Ok(Self {
            files: missing_anchors(layout, &layout.intermediate)?,
            root: root.transpose()?,
            intermediate: adopt(&layout.intermediate, &layout.intermediate_key)?,
        })
    }
}

/// The root, and the files that are missing of it.
fn root(
    layout: &Layout,
    validity_policy: &ValidityPolicy,
) -> Result<(CertifiedIssuer, Vec<NewFile>), InitError> {
    let has_key = exists(&layout.root_key)?;
    match existing_root(layout)? {
        Some(path) if has_key => {
            let root = adopt(&path, &layout.root_key)?;
            Ok((root, missing_anchors(layout, &path)?))
        }
        Some(root) => Err(InitError::RootKeyAway {
            root,
            key: layout.root_key.clone(),
        }),
        None if has_key => Err(InitError::HalfPair {
            exists: layout.root_key.clone(),
            missing: layout.roots[0].clone(),
        }),
        None => {
            let root = CertifiedIssuer::root(validity_policy)
                .map_err(InitError::issuing("a root certificate"))?;
            let mut files = vec![key_file(&layout.root_key, &root, "root key")];
            files.extend(layout.roots.iter().map(|path| {
                certificate_file(path, root.certificate(), "root certificate, for devices")
            }));
            Ok((root, files))
        }
    }
}

/// Announced files that are missing although `below` exists, which was issued under them: copies
/// of the root if another announced file still is one. A root cannot be made again.
fn missing_anchors(layout: &Layout, below: &Path) -> Result<Vec<NewFile>, InitError> {
    let mut files = Vec::new();
    for path in layout.roots.iter().filter(|_| layout.announces_root) {
        if exists(path)? {
            continue;
        }
        let other = existing_root(layout)?.ok_or_else(|| InitError::anchor_lost(path, below))?;
        let root = load_certificate_der("root certificate", &other)?;
        files.push(certificate_file(
            path,
            &root,
            "root certificate, for devices",
        ));
    }
    Ok(files)
}

fn existing_root(layout: &Layout) -> Result<Option<PathBuf>, InitError> {
    for path in &layout.roots {
        if exists(path)? {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

/// Proves that a device accepts the new chain, whichever announced certificate it trusts.
/// Returns the largest DER total.
fn validate(
    layout: &Layout,
    chain: Vec<Certificate>,
    root: Option<&Certificate>,
) -> Result<usize, InitError> {
    let refused = |source| InitError::NotOneChain {
        server: layout.server.clone(),
        source: Box::new(source),
    };
    let intermediate = chain[chain.len() - 1].clone();
    let chain = ServerChain::parse(chain).map_err(refused)?;
    let mut anchors = vec![root.cloned().unwrap_or(intermediate)];
    for path in &layout.roots {
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
        return Err(InitError::TooLarge { found: largest });
    }
    Ok(largest)
}

/// Whether a certificate and its key exist; refuses one without the other.
fn pair_exists(certificate: &Path, key: &Path) -> Result<bool, InitError> {
    match (exists(certificate)?, exists(key)?) {
        (has_certificate, has_key) if has_certificate == has_key => Ok(has_key),
        (has_certificate, _) => {
            let (exists, missing) = if has_certificate {
                (certificate, key)
            } else {
                (key, certificate)
            };
            Err(InitError::HalfPair {
                exists: exists.to_owned(),
                missing: missing.to_owned(),
            })
        }
    }
}

fn adopt(certificate: &Path, key: &Path) -> Result<CertifiedIssuer, InitError> {
    let issuer = load_certificate_der("issuer certificate", certificate)?;
    CertifiedIssuer::from_existing(issuer, PrivateKey::load(key)?).map_err(|source| match source {
        IssueError::ForeignKey { .. } | IssueError::UnusableKey => InitError::IssuerKey {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
            source,
        },
        source => InitError::Issue {
            what: "from an existing authority",
            source,
        },
    })
}

fn key_file(path: &Path, issued: &CertifiedIssuer, what: &'static str) -> NewFile {
    let pem = Zeroizing::new(issued.key_pem().as_bytes().to_vec());
    NewFile::private(path.to_owned(), pem, what)
}

fn certificate_file(path: &Path, certificate: &Certificate, what: &'static str) -> NewFile {
    NewFile::public(path.to_owned(), certificate.der().to_vec(), what)
}

fn pem(certificates: &[&Certificate]) -> Zeroizing<Vec<u8>> {
    let sections: Vec<_> = certificates
        .iter()
        .map(|certificate| certificate.to_pem(LineEnding::LF))
        .collect();
    Zeroizing::new(sections.concat().into_bytes())
}
