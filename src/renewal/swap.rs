//! A certificate and its key are two files, of which one is replaced first.
//!
//! So that whoever starts between the two finds a pair, the key's file holds both keys meanwhile
//! ([`PrivateKey::load_for`](engage_wire::pki::PrivateKey::load_for) takes the one that belongs to the
//! certificate). A process that is killed at any moment leaves files that work, and what it leaves behind
//! is replaced by the next one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::RenewError;
use crate::platform::{self, FileAccess};
use crate::staged_file::{folder, staged_path, sync_folder_of};
use engage_wire::limits::MAX_FILE_BYTES;
use engage_wire::pki::Certificate;
use engage_wire::{Text, read_regular_file, replace_file};

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
pub(crate) struct PairFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A new pair beside the present one, under hidden names; removed again unless it is swapped in.
pub(crate) struct StagedPair {
    target: PairFiles,
    staged: PairFiles,
    new_key: Zeroizing<Vec<u8>>,
}

impl PairFiles {
    /// Writes a pair with the owners and modes of the present one, which has to exist.
    pub(crate) fn stage(&self, key: &[u8], certificate: &[u8]) -> Result<StagedPair, RenewError> {
        if self.key == self.certificate {
            let path = self.key.clone();
            return Err(RenewError::OneFile { path });
        }
        let [staged_certificate, staged_key] =
            [&self.certificate, &self.key].map(|it| staged_path(it));
        let pair = StagedPair {
            target: self.clone(),
            staged: PairFiles {
                certificate: staged_certificate,
                key: staged_key,
            },
            new_key: Zeroizing::new(key.to_vec()),
        };
        write_like(&self.key, &pair.staged.key, key)?;
        write_like(&self.certificate, &pair.staged.certificate, certificate)?;
        Ok(pair)
    }

    /// Copies the present pair, of which `certificate` is the first, into `old/` beside each. The copies.
    pub(crate) fn keep_aside(&self, certificate: &Certificate) -> Result<Vec<PathBuf>, RenewError> {
        let fingerprint = certificate.fingerprint().to_string().replace(':', "");
        let mut kept = Vec::new();
        for path in [&self.key, &self.certificate] {
            let old = old_folder(path);
            if !old.is_dir() {
                platform::create_dir(&old, 0o700)
                    .and_then(|()| platform::inherit_access(&old, 0o050))
                    .map_err(RenewError::file("create", &old))?;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = old.join(format!("{name}.{}", &fingerprint[..8].to_lowercase()));
            let contents = read_regular_file("replaced file", path, MAX_FILE_BYTES)
                .map_err(|source| RenewError::Load(source.into()))?;
            let new = staged_path(&copy);
            write_like(path, &new, &contents)?;
            rename(&new, &copy)?;
            kept.push(copy);
        }
        Ok(kept)
    }
}

impl StagedPair {
    pub(crate) fn certificate(&self) -> &PathBuf {
        &self.staged.certificate
    }

    pub(crate) fn key(&self) -> &PathBuf {
        &self.staged.key
    }

    /// Puts the pair in place. What it replaced: key, certificate.
    pub(crate) fn swap(self) -> Result<Vec<PathBuf>, RenewError> {
        let PairFiles { certificate, key } = &self.target;
        let present = Text::read("private key", key, MAX_FILE_BYTES)
            .map_err(|source| RenewError::Load(source.into()))?;
        let both = Zeroizing::new([&present[..], b"\n", &self.new_key].concat());
        let of_both = key.with_file_name(format!(".{}.both", file_name(key)));
        write_like(key, &of_both, &both)?;
        rename(&of_both, key)?;
        rename(&self.staged.certificate, certificate)?;
        rename(&self.staged.key, key)?;
        Ok(vec![key.clone(), certificate.clone()])
    }
}

impl Drop for StagedPair {
    fn drop(&mut self) {
        for path in [&self.staged.key, &self.staged.certificate] {
            let _ = fs_err::remove_file(path);
        }
    }
}

/// What renewals have kept of a file.
pub(crate) fn kept_aside(path: &Path) -> Vec<PathBuf> {
    let copies = format!("{}.", file_name(path));
    let entries = fs_err::read_dir(old_folder(path)).into_iter().flatten();
    let mut kept: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| file_name(path).starts_with(&copies))
        .collect();
    kept.sort();
    kept
}

/// Where renewals keep what they replace of a file.
pub(super) fn old_folder(path: &Path) -> PathBuf {
    folder(path).join(OLD)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Writes `path` durably, with the access of `like`; what was there is left of a run that was killed.
fn write_like(like: &Path, path: &Path, contents: &[u8]) -> Result<(), RenewError> {
    let write = || {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = platform::create_private_file(path)?;
        file.write_all(contents)?;
        FileAccess::from_path(like)?.apply(path)?;
        file.sync_all()
    };
    write().map_err(|error| {
        let _ = fs_err::remove_file(path);
        RenewError::file("write", path)(error)
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), RenewError> {
    replace_file(from, to).map_err(RenewError::file("write", to))?;
    sync_folder_of(to);
    Ok(())
}

/// The folder, beside a file, for what takes its place no more.
const OLD: &str = "old";
