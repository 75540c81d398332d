//! `engage-host sites remove`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use super::error::SitesError;
use super::list::{Found, find};
use super::new_site::Locked;
use super::told::{Change, TellArgs};
use crate::cli::output::Failure;
use crate::config::{Config, SiteConfig};
use crate::staged_file::sync_folder_of;
use engage_wire::site::SiteKey;

/// Remove a site that has a file of its own.
///
/// Its devices are answered as those of no site from then on. Its key stays where it is: it can never be made
/// again, and without it no device of the site can be given a certificate.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites remove Annex")]
pub(super) struct Remove {
    /// Its label
    #[arg(value_name = "NAME")]
    name: String,
    /// Delete its key file too, for ever. Refused unless it is a site key that nothing else uses
    #[arg(long)]
    delete_key: bool,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Remove {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Locked { config, _lock, .. } = Locked::open(&self.config.config)?;
        let found = find(&config, &self.name)?;
        let (name, file) = (found.name().clone(), found.file().to_owned());
        if file == config.path {
            return Err(SitesError::InConfiguration { name, file }.into());
        }
        if config.sites.iter().all(|site| site.file == file) {
            return Err(SitesError::OnlySite { name }.into());
        }
        let key_file = found.key_file();
        if self.delete_key {
            judge_key(&config, found)?;
        }
        remove(&file)?;
        let mut change = Change {
            removed: vec![name.to_string()],
            deleted: vec![file.display().to_string()],
            ..Change::default()
        };
        if let Some(key_file) = key_file {
            let shown = key_file.display().to_string();
            if self.delete_key {
                remove(&key_file)?;
                change.deleted.push(shown);
            } else {
                change.kept.push(shown);
                change.next.push(KEPT_KEY);
            }
        }
        change.tell(self.tell, self.json)
    }
}

/// Refuses a key file that is none, or that may be in use elsewhere.
fn judge_key(config: &Config, found: Found<'_>) -> Result<(), SitesError> {
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
