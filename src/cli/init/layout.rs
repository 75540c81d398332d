//! Where everything lies, as the configuration says it.

use std::path::{Path, PathBuf};

use super::error::InitError;
use crate::config::Config;
use crate::renewal::{AuthorityFiles, PairFiles};

pub(in crate::cli) use crate::new_files::exists;
pub(in crate::cli) use crate::staged_file::folder;

/// The files that `init` looks after; all paths absolute.
#[derive(Debug)]
pub(in crate::cli) struct Layout {
    pub(in crate::cli) config: PathBuf,
    /// Each distinct one; several sites may share a key.
    pub(in crate::cli) site_keys: Vec<PathBuf>,
    pub(in crate::cli) root: RootPaths,
    pub(in crate::cli) intermediate: IntermediatePaths,
    pub(in crate::cli) server: PairPaths,
    /// If the configuration names one.
    pub(in crate::cli) token_file: Option<PathBuf>,
}

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub(in crate::cli) struct PairPaths {
    pub(in crate::cli) certificate: PathBuf,
    pub(in crate::cli) key: PathBuf,
}

#[derive(Debug)]
pub(in crate::cli) struct RootPaths {
    /// Not empty. Several sites may announce the root from several files.
    pub(in crate::cli) certificates: Vec<PathBuf>,
    pub(in crate::cli) key: PathBuf,
    /// Whether a site announces it: it is needed even after everything is issued.
    pub(in crate::cli) is_announced: bool,
}

#[derive(Debug)]
pub(in crate::cli) struct IntermediatePaths {
    pub(in crate::cli) pair: PairPaths,
    pub(in crate::cli) is_announced: bool,
}

impl Layout {
    pub(in crate::cli) fn new(config: &Config) -> Self {
        let announced = distinct(config.sites.iter().map(|site| site.certificate.clone()));
        let authorities = AuthorityFiles::from_config(config);
        let is_announced = authorities.is_intermediate_announced();
        let PairFiles { certificate, key } = authorities.intermediate;
        // A configuration without a site does not exist.
        let certificates_dir = folder(&announced[0]).to_owned();
        let intermediate = IntermediatePaths {
            pair: PairPaths { certificate, key },
            is_announced,
        };
        let mut roots = announced;
        roots.retain(|path| *path != intermediate.pair.certificate);
        let is_announced = !roots.is_empty();
        if roots.is_empty() {
            roots.push(certificates_dir.join("partner_CA.der"));
        }
        Self {
            config: config.path.clone(),
            site_keys: distinct(config.sites.iter().map(|site| site.key_file.clone())),
            root: RootPaths {
                certificates: roots,
                key: authorities.root_key,
                is_announced,
            },
            intermediate,
            server: PairPaths {
                certificate: config.https.certificate.clone(),
                key: config.https.private_key.clone(),
            },
            token_file: config.admin.token_file.clone(),
        }
    }

    /// Every file.
    pub(in crate::cli) fn files(&self) -> impl Iterator<Item = &Path> {
        let config_and_keys = [&self.config].into_iter().chain(&self.site_keys);
        config_and_keys
            .chain(&self.token_file)
            .map(PathBuf::as_path)
            .chain(self.pki_files())
    }

    /// Keys and certificates of the public key infrastructure, without the site keys.
    pub(in crate::cli) fn pki_files(&self) -> impl Iterator<Item = &Path> {
        let pairs = [&self.intermediate.pair, &self.server];
        [&self.root.key]
            .into_iter()
            .chain(&self.root.certificates)
            .chain(pairs.into_iter().flat_map(|it| [&it.key, &it.certificate]))
            .map(PathBuf::as_path)
    }
}

impl RootPaths {
    /// A file that holds the root, if there is one.
    pub(in crate::cli) fn existing(&self) -> Result<Option<&Path>, InitError> {
        for path in &self.certificates {
            if exists(path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

impl PairPaths {
    /// Whether both exist; refuses one without the other.
    pub(in crate::cli) fn exist(&self) -> Result<bool, InitError> {
        let (exists, missing) = match (exists(&self.certificate)?, exists(&self.key)?) {
            (true, true) => return Ok(true),
            (false, false) => return Ok(false),
            (true, false) => (&self.certificate, &self.key),
            (false, true) => (&self.key, &self.certificate),
        };
        Err(InitError::HalfPair {
            exists: exists.clone(),
            missing: missing.clone(),
        })
    }
}

/// Those of `files` that exist.
pub(in crate::cli) fn existing<'a>(
    files: impl Iterator<Item = &'a Path>,
) -> Result<Vec<PathBuf>, InitError> {
    let mut found = Vec::new();
    for file in files {
        if exists(file)? {
            found.push(file.to_owned());
        }
    }
    Ok(found)
}

/// Each value once, where it stands first.
pub(in crate::cli) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
