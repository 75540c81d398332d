//! Removes a site that has a file of its own.

use std::path::{Path, PathBuf};

use super::change::Change;
use super::edit::require_match;
use super::error::SitesError;
use super::list::{Found, find};
use super::new_site::Locked;
use crate::config::{Config, SiteConfig};
use crate::failure::Failure;
use crate::staged_file::sync_folder_of;
use engage_wire::site::SiteKey;

/// Removes the site of this name from those of a configuration file, and with `delete_key` its key
/// file, for ever. With `if_match` only if that still is the tag of its file.
pub(crate) fn remove_site(
    config: &Path,
    name: &str,
    delete_key: bool,
    if_match: Option<&str>,
) -> Result<Change, Failure> {
    let Locked { config, _lock, .. } = Locked::open(config)?;
    let found = find(&config, name)?;
    let (name, file) = (found.name().clone(), found.file().to_owned());
    if file == config.path {
        return Err(SitesError::InConfiguration { name, file }.into());
    }
    if config.sites.iter().all(|site| site.file == file) {
        return Err(SitesError::OnlySite { name }.into());
    }
    require_match(&file, if_match)?;
    let key_file = found.key_file();
    if delete_key {
        check_key(&config, found)?;
    }
    remove(&file)?;
    let mut change = Change {
        removed: vec![name.to_string()],
        deleted: vec![file.display().to_string()],
        ..Change::default()
    };
    if let Some(key_file) = key_file {
        let shown = key_file.display().to_string();
        if delete_key {
            remove(&key_file)?;
            change.deleted.push(shown);
        } else {
            change.kept.push(shown);
            change.next.push(KEPT_KEY.to_owned());
        }
    }
    Ok(change)
}

/// Refuses a key file that is none, or that may be in use elsewhere.
fn check_key(config: &Config, found: Found<'_>) -> Result<(), SitesError> {
    let broken = config.site_files.broken().next();
    let site = match (found, broken) {
        (Found::Usable(site), None) => site,
        (Found::Broken(broken), _) | (_, Some(broken)) => {
            return Err(SitesError::KeysUnknown {
                file: broken.file.clone(),
            });
        }
    };
    let key_file = site.key_file.clone();
    // What it leads to would stay.
    if fs_err::symlink_metadata(&key_file).is_ok_and(|it| it.is_symlink()) {
        return Err(SitesError::KeyIsLink { key_file });
    }
    SiteKey::load(&key_file).map_err(|source| SitesError::NoKey { source })?;
    refuse_used_key(config, site)
}

/// One file may be written in many ways.
fn refuse_used_key(config: &Config, site: &SiteConfig) -> Result<(), SitesError> {
    let key_file = site.key_file.clone();
    let real = fs_err::canonicalize(&key_file).map_err(|source| SitesError::Remove {
        path: key_file.clone(),
        source,
    })?;
    let is_key = |path: &PathBuf| fs_err::canonicalize(path).is_ok_and(|path| path == real);
    let mut rest = config.clone();
    rest.sites.retain(|other| other.file != site.file);
    if let Some(other) = rest.sites.iter().find(|it| is_key(&it.key_file)) {
        let other = other.name.clone();
        return Err(SitesError::KeyInUse { key_file, other });
    }
    if rest.paths_mut().any(|path| is_key(path)) {
        let config = rest.path;
        return Err(SitesError::KeyNamed { key_file, config });
    }
    Ok(())
}

fn remove(path: &PathBuf) -> Result<(), SitesError> {
    // `fs_err` would name the path again, which the message has said.
    std::fs::remove_file(path).map_err(|source| SitesError::Remove {
        path: path.clone(),
        source,
    })?;
    sync_folder_of(path);
    Ok(())
}

const KEPT_KEY: &str =
    "keep its key: it can never be made again, and the site's devices know no other";
