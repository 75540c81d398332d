//! The server certificate that a new one replaces, where the operator has moved it to.

use std::path::{Path, PathBuf};

use super::layout::{PairPaths, folder};
use crate::platform::FileAccess;
use engage_wire::HostName;
use engage_wire::pki::{Certificate, SubjectAltName, load_certificate_chain};
use jiff::Timestamp;

/// An earlier server certificate of the same issuer.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) path: PathBuf,
    pub(super) hosts: Vec<HostName>,
    pub(super) not_before: Timestamp,
    pub(super) certificate_access: Option<FileAccess>,
    /// Of the key that was moved with it.
    pub(super) key_access: Option<FileAccess>,
}

impl Replaced {
    /// Looks in the folder of the missing certificate and in those directly below it. The latest
    /// counts.
    pub(super) fn find(server: &PairPaths, issuer: &Certificate) -> Option<Self> {
        let top = folder(&server.certificate);
        let below = entries(top).into_iter().filter(|path| path.is_dir());
        let folders = [top.to_owned()].into_iter().chain(below);
        folders
            .flat_map(|folder| entries(&folder))
            .filter_map(|path| Self::load(path, issuer, server))
            .max_by_key(|found| found.not_before)
    }

    fn load(path: PathBuf, issuer: &Certificate, server: &PairPaths) -> Option<Self> {
        let chain = load_certificate_chain("earlier certificate", &path).ok()?;
        let leaf = chain.first()?;
        if leaf.extensions().is_ca == Some(true) || leaf.verify_issued_by(issuer).is_err() {
            return None;
        }
        Some(Self {
            hosts: hosts_of(leaf),
            not_before: leaf.validity().not_before,
            certificate_access: FileAccess::from_path(&path).ok(),
            key_access: key_beside(&path, server).and_then(|key| FileAccess::from_path(&key).ok()),
            path,
        })
    }
}

/// `partner_server.key`, or what a copy of it is called: `partner_server.key.old`.
fn key_beside(certificate: &Path, server: &PairPaths) -> Option<PathBuf> {
    let name = server.key.file_name()?.to_str()?;
    entries(folder(certificate)).into_iter().find(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|found| found.starts_with(name))
    })
}

/// The names and addresses that a server certificate is for.
pub(in crate::cli) fn hosts_of(leaf: &Certificate) -> Vec<HostName> {
    let names = leaf.alt_names().iter();
    names.filter_map(SubjectAltName::host).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .take(MAX_ENTRIES)
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// A folder of keys holds a handful of files.
const MAX_ENTRIES: usize = 256;
