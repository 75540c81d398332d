//! What a run leaves that was killed: completed where a certificate's key is in place already,
//! removed elsewhere.

use std::path::{Path, PathBuf};

use super::error::InitError;
use super::layout::{Layout, exists};
use crate::new_files::NewFile;
use crate::new_files::{publish_staged, staged_leftovers};
use crate::staged_file::staged_path;
use engage_wire::pki::issue::CertifiedIssuer;
use engage_wire::pki::{PrivateKey, load_der_or_pem};

/// What an interrupted run left.
pub(super) struct Interrupted {
    /// Hidden files that are of no use any more.
    stale: Vec<PathBuf>,
    /// Certificates whose keys are in place: key, certificate.
    half_published: Vec<(PathBuf, PathBuf)>,
}

impl Interrupted {
    pub(super) fn find(layout: &Layout) -> Result<Self, InitError> {
        let root = (&layout.root.key, &layout.root.certificates[0]);
        let below =
            [&layout.intermediate.pair, &layout.server].map(|it| (&it.key, &it.certificate));
        let mut half_published = Vec::new();
        for (key, certificate) in [root].into_iter().chain(below) {
            let is_half =
                exists(key)? && !exists(certificate)? && exists(&staged_path(certificate))?;
            if is_half && belong_together(key, certificate) {
                half_published.push((key.clone(), certificate.clone()));
            }
        }
        let mut stale = Vec::new();
        for path in layout.files() {
            stale.extend(staged_leftovers(path));
        }
        Ok(Self {
            stale,
            half_published,
        })
    }

    /// Whether that run had made all of `files` too: then this one goes on with it.
    pub(super) fn had_staged(&self, files: &[NewFile]) -> bool {
        files
            .iter()
            .all(|file| self.stale.contains(&staged_path(&file.path)))
    }

    /// Puts the certificates in place whose keys are. Their paths.
    pub(super) fn complete(&self) -> Result<Vec<PathBuf>, InitError> {
        for (_, certificate) in &self.half_published {
            publish_staged(certificate).map_err(InitError::file("write", certificate))?;
        }
        Ok(self
            .half_published
            .iter()
            .map(|(_, it)| it.clone())
            .collect())
    }

    /// Removes the rest. Where that is not allowed, it stays: whoever may only read must not be
    /// kept from serving by it.
    pub(super) fn clean(&self) {
        for path in &self.stale {
            let _ = fs_err::remove_file(path);
        }
    }
}

/// A file is staged whole before any key is published, so a certificate that belongs to a
/// published key is whole.
fn belong_together(key: &Path, certificate: &Path) -> bool {
    // A server's chain is PEM, everything else DER.
    let Ok(leaf) = load_der_or_pem("staged certificate", &staged_path(certificate)) else {
        return false;
    };
    PrivateKey::load(key).is_ok_and(|key| CertifiedIssuer::from_existing(leaf, key).is_ok())
}
