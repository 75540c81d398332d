//! Where everything lies, as the configuration says it.

use std::path::{Path, PathBuf};

use super::error::InitError;
use crate::config::{Config, HttpsConfig};

/// The files that `init` looks after; all paths absolute.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) config: PathBuf,
    /// Each distinct one; several sites may share a key.
    pub(super) site_keys: Vec<PathBuf>,
    pub(super) root_key: PathBuf,
    /// Where the root lies; not empty. Several sites may announce it from several files.
    pub(super) roots: Vec<PathBuf>,
    /// Whether a site announces the root: it is needed even after everything is issued.
    pub(super) announces_root: bool,
    pub(super) intermediate_key: PathBuf,
    pub(super) intermediate: PathBuf,
    pub(super) announces_intermediate: bool,
    pub(super) server_key: PathBuf,
    pub(super) server: PathBuf,
    pub(super) data_dir: PathBuf,
}

impl Layout {
    /// The keys of the authorities lie beside the server's, the intermediate beside the first
    /// announced certificate.
    pub(super) fn of(config: &Config) -> Self {
        let Config {
            path,
            sites,
            https:
                HttpsConfig {
                    certificate,
                    private_key,
                    ..
                },
            ..
        } = config;
        let announced = distinct(sites.iter().map(|site| &site.certificate));
        // A configuration without a site does not exist.
        let shelf = folder(&announced[0]).to_owned();
        let intermediate = shelf.join("partner_intermediate.der");
        let announces_intermediate = announced.contains(&intermediate);
        let mut roots = announced;
        roots.retain(|path| *path != intermediate);
        let announces_root = !roots.is_empty();
        if roots.is_empty() {
            roots.push(shelf.join("partner_CA.der"));
        }
        Self {
            config: path.clone(),
            site_keys: distinct(sites.iter().map(|site| &site.key_file)),
            root_key: folder(private_key).join("partner_CA.key"),
            roots,
            announces_root,
            intermediate_key: folder(private_key).join("partner_intermediate.key"),
            intermediate,
            announces_intermediate,
            server_key: private_key.clone(),
            server: certificate.clone(),
            data_dir: folder(path).join("Engage_Data"),
        }
    }

    /// What of it is there already.
    pub(super) fn existing_files(&self) -> Result<Vec<PathBuf>, InitError> {
        let Self {
            config,
            site_keys,
            root_key,
            roots,
            announces_root: _,
            intermediate_key,
            intermediate,
            announces_intermediate: _,
            server_key,
            server,
            data_dir: _,
        } = self;
        let files = [config]
            .into_iter()
            .chain(site_keys)
            .chain([root_key])
            .chain(roots)
            .chain([intermediate_key, intermediate, server_key, server]);
        let mut existing = Vec::new();
        for file in files {
            if exists(file)? {
                existing.push(file.clone());
            }
        }
        Ok(existing)
    }
}

/// Whether `path` exists. A folder that may not be looked into is a failure and not a "no".
pub(super) fn exists(path: &Path) -> Result<bool, InitError> {
    path.try_exists()
        .map_err(|source| InitError::file("look at", path, source))
}

/// The folder of a file.
pub(super) fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

fn distinct<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut distinct: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !distinct.contains(path) {
            distinct.push(path.clone());
        }
    }
    distinct
}
