//! The new root, chain and keys: made here, or taken from files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use engage_store::{AnchorChange, Overlap};
use engage_wire::Text;
use engage_wire::clock;
use engage_wire::pki::issue::{CertifiedIssuer, NewAuthorities, ValidityPolicy};
use engage_wire::pki::{
    Certificate, Fingerprint, LoadError, load_certificate_chain, load_certificate_der,
    load_der_or_pem,
};

use crate::cli::init::certificates::{key_pem, pem};
use crate::cli::init::clock::refuse_implausible;
use crate::cli::init::error::InitError;
use crate::cli::init::layout::Layout;
use crate::cli::init::replaced::hosts_of;
use crate::config::Config;
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers};
use crate::platform::FileAccess;
use crate::publication::NextFiles;
use crate::renewal::existing_issuer;
use crate::rotation_steps::RotateError;

/// What is served now, as far as it can be read.
pub(super) struct Present<'a> {
    config: &'a Config,
    layout: Layout,
    chain: Vec<Certificate>,
    /// Each announced certificate, by file.
    announced: HashMap<PathBuf, Certificate>,
}

/// The new chain.
pub(super) struct NewChain {
    root: Certificate,
    /// As it is sent.
    chain: Vec<Certificate>,
}

/// Where the operator has them.
pub(super) struct GivenFiles<'a> {
    pub(super) root: &'a Path,
    pub(super) chain: &'a Path,
    pub(super) key: &'a Path,
}

impl<'a> Present<'a> {
    /// A site whose certificate cannot be read has no part in it.
    pub(super) fn read(config: &'a Config) -> Result<Self, Failure> {
        let chain = load_certificate_chain("server certificate", &config.https.certificate)?;
        let mut announced = HashMap::new();
        for site in &config.sites {
            let path = &site.certificate;
            if !announced.contains_key(path)
                && let Ok(certificate) = load_certificate_der("announced certificate", path)
            {
                announced.insert(path.clone(), certificate);
            }
        }
        if announced.is_empty() {
            return Err(RotateError::NoAnchor.into());
        }
        Ok(Self {
            config,
            layout: Layout::new(config),
            chain,
            announced,
        })
    }

    /// Whether the configured server certificate is this one.
    pub(super) fn has_leaf(&self, leaf: Fingerprint) -> bool {
        self.chain.first().map(Certificate::fingerprint) == Some(leaf)
    }

    /// A new root, an intermediate and a server certificate for the same hosts, and their files.
    pub(super) fn make(
        &self,
        next: &NextFiles,
        cross_by: Option<&CertifiedIssuer>,
        root_key_out: Option<&Path>,
    ) -> Result<(NewChain, Vec<NewFile>), Failure> {
        let now = clock::now();
        let existing = self.chain.iter().map(|it| {
            let subject = format!("`{}`", it.subject());
            (subject, it.validity().not_before)
        });
        refuse_implausible(now, existing)?;
        let known: Vec<_> = self
            .announced
            .values()
            .chain(&self.chain)
            .cloned()
            .collect();
        let hosts = self.chain.first().map(hosts_of).unwrap_or_default();
        let made = NewAuthorities::issue(&known, &hosts, &ValidityPolicy::new(now, None))
            .map_err(InitError::issuing("new certificates"))?;
        let (root, intermediate) = (made.root.certificate(), made.intermediate.certificate());
        let mut chain = vec![made.server.certificate().clone(), intermediate.clone()];
        chain.extend(cross_signed(root, cross_by)?);
        let root_key =
            root_key_out.map_or_else(|| next.root_key(), |folder| root_key_in(folder, root));
        let new = NewChain {
            root: root.clone(),
            chain,
        };
        let mut files = vec![
            NewFile::new(root_key, key_pem(&made.root), "root key", Readers::Owner),
            NewFile::new(
                next.intermediate_key(),
                key_pem(&made.intermediate),
                "intermediate key",
                Readers::Owner,
            ),
            self.server_key(next, key_pem(&made.server)),
        ];
        files.extend(self.certificates(next, &new)?);
        Ok((new, files))
    }

    /// The files that somebody else has made.
    pub(super) fn take(
        &self,
        next: &NextFiles,
        given: &GivenFiles<'_>,
        cross_by: Option<&CertifiedIssuer>,
    ) -> Result<(NewChain, Vec<NewFile>), Failure> {
        let root = load_der_or_pem("root certificate", given.root)?;
        let mut chain = load_certificate_chain("server certificate", given.chain)?;
        // Devices have it; sent, it would only count.
        chain.retain(|it| *it != root);
        chain.extend(cross_signed(&root, cross_by)?);
        let key = Text::read("server key", given.key, MAX_KEY_BYTES)?.into_bytes();
        let new = NewChain { root, chain };
        let mut files = vec![self.server_key(next, key)];
        files.extend(self.certificates(next, &new)?);
        Ok((new, files))
    }

    fn server_key(&self, next: &NextFiles, key: impl Into<zeroize::Zeroizing<Vec<u8>>>) -> NewFile {
        let access = FileAccess::from_path(&self.config.https.private_key).ok();
        NewFile::new(
            next.private_key(),
            key,
            "server key",
            Readers::Daemon(access),
        )
    }

    fn certificates(&self, next: &NextFiles, new: &NewChain) -> Result<Vec<NewFile>, Failure> {
        let access = FileAccess::from_path(&self.config.https.certificate).ok();
        let file = |path, certificates: Vec<&Certificate>, what| {
            NewFile::new(
                path,
                pem(certificates),
                what,
                Readers::Daemon(access.clone()),
            )
        };
        let mut files = vec![file(next.root(), vec![&new.root], "root certificate")];
        if let Some(intermediate) = new.intermediate() {
            let path = next.intermediate();
            files.push(file(path, vec![intermediate], "intermediate certificate"));
        }
        for (path, anchor) in self.new_anchors(next, new)? {
            let (der, what) = (anchor.der().to_vec(), "certificate, for devices");
            files.push(NewFile::new(
                path,
                der,
                what,
                Readers::Daemon(access.clone()),
            ));
        }
        // Last: where it is found, everything else is there.
        let chain = new.chain.iter().collect();
        files.push(file(
            next.certificate(),
            chain,
            "server certificate and intermediate",
        ));
        Ok(files)
    }

    /// Under the names as which they are served: another name for another certificate, because
    /// somebody in between may keep what is served under a name.
    fn new_anchors<'b>(
        &self,
        next: &NextFiles,
        new: &'b NewChain,
    ) -> Result<BTreeMap<PathBuf, &'b Certificate>, RotateError> {
        let mut anchors = BTreeMap::new();
        for site in &self.config.sites {
            let Some(old) = self.announced.get(&site.certificate) else {
                continue;
            };
            let anchor = new.anchor_after(old, site.name.as_str())?;
            let stem = site.certificate.file_stem().unwrap_or_default();
            let name = format!("{}-{}.der", stem.to_string_lossy(), digits(anchor));
            anchors.insert(next.anchors_folder().join(name), anchor);
        }
        Ok(anchors)
    }

    /// What each site announces now, and is to announce.
    pub(super) fn changes(&self, new: &NewChain) -> Result<Vec<AnchorChange>, RotateError> {
        let sites = self.config.sites.iter();
        let known = sites.filter_map(|site| Some((site, self.announced.get(&site.certificate)?)));
        let changes = known.map(|(site, old)| {
            Ok(AnchorChange {
                site: site.name.to_string(),
                old: old.fingerprint(),
                new: new.anchor_after(old, site.name.as_str())?.fingerprint(),
            })
        });
        changes.collect()
    }

    /// The present root, with its key.
    pub(super) fn old_root(&self, key: Option<&Path>) -> Result<CertifiedIssuer, Failure> {
        let key = key.unwrap_or(&self.layout.root.key);
        let announced = self.layout.root.existing()?;
        let certificate = self.config.https.root.as_deref().or(announced);
        match certificate {
            Some(certificate) if key.exists() => {
                Ok(existing_issuer("issuer certificate", certificate, key)?)
            }
            _ => Err(RotateError::RootKeyAway {
                path: key.to_owned(),
            }
            .into()),
        }
    }
}

fn cross_signed(
    new_root: &Certificate,
    by: Option<&CertifiedIssuer>,
) -> Result<Option<Certificate>, InitError> {
    let crossed = by.map(|old_root| old_root.cross_sign(new_root, clock::now()));
    let crossed = crossed.transpose();
    crossed.map_err(InitError::issuing("the cross-signed root"))
}

/// A name that the old root's key does not have, which may lie beside it.
fn root_key_in(folder: &Path, root: &Certificate) -> PathBuf {
    folder.join(format!("partner_CA-{}.key", digits(root)))
}

/// The first of its fingerprint: for names of files.
fn digits(certificate: &Certificate) -> String {
    let fingerprint = certificate.fingerprint().to_string().replace(':', "");
    fingerprint[..8].to_ascii_lowercase()
}

impl NewChain {
    /// What lies there already.
    pub(super) fn load(next: &NextFiles) -> Result<Self, LoadError> {
        Ok(Self {
            root: load_der_or_pem("root certificate", &next.root())?,
            chain: load_certificate_chain("server certificate", &next.certificate())?,
        })
    }

    pub(super) fn leaf(&self) -> Fingerprint {
        // A chain that was read or made has one.
        self.chain[0].fingerprint()
    }

    /// Whether the new root, signed by the old, is sent with it.
    pub(super) fn overlap(&self) -> Overlap {
        if self.chain.iter().any(|it| self.is_crossed(it)) {
            Overlap::Cross
        } else {
            Overlap::Select
        }
    }

    /// As it is sent when nobody trusts the old root any more.
    pub(super) fn without_crossed(&self) -> impl Iterator<Item = &Certificate> {
        self.chain.iter().filter(|it| !self.is_crossed(it))
    }

    /// Where the root's key is, if it was made for this folder.
    pub(super) fn root_key_in(&self, folder: &Path) -> PathBuf {
        root_key_in(folder, &self.root)
    }

    pub(super) fn root(&self) -> &Certificate {
        &self.root
    }

    pub(super) fn intermediate(&self) -> Option<&Certificate> {
        self.without_crossed().nth(1)
    }

    fn is_crossed(&self, certificate: &Certificate) -> bool {
        certificate.subject() == self.root.subject() && *certificate != self.root
    }

    /// A root follows a root, an intermediate an intermediate.
    fn anchor_after(&self, old: &Certificate, site: &str) -> Result<&Certificate, RotateError> {
        if old.is_self_signed() {
            return Ok(&self.root);
        }
        self.intermediate()
            .ok_or_else(|| RotateError::NoIntermediate {
                site: site.to_owned(),
                anchor: old.subject().to_owned(),
            })
    }
}

/// Longer is no key.
const MAX_KEY_BYTES: usize = 64 * 1024;
