//! `engage-host sites remove`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use super::error::SitesError;
use super::list::find;
use super::new_site::Locked;
use super::told::{Change, TellArgs};
use crate::cli::init::staging;
use crate::cli::output::Failure;
use crate::config::Config;

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
    /// Delete its key file too, for ever
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
            refuse_shared_key(&config, &file, key_file.as_deref())?;
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

fn refuse_shared_key(
    config: &Config,
    file: &Path,
    key_file: Option<&Path>,
) -> Result<(), SitesError> {
    let others = config.sites.iter().filter(|site| site.file != file);
    let mut sharing = others.filter(|site| Some(site.key_file.as_path()) == key_file);
    sharing.next().map_or(Ok(()), |other| {
        Err(SitesError::KeyInUse {
            key_file: other.key_file.clone(),
            other: other.name.clone(),
        })
    })
}

fn remove(path: &PathBuf) -> Result<(), SitesError> {
    // `fs_err` would name the path again, which the message has said.
    std::fs::remove_file(path).map_err(|source| SitesError::Remove {
        path: path.clone(),
        source,
    })?;
    staging::sync_folder_of(path);
    Ok(())
}

const KEPT_KEY: &str =
    "keep its key: it can never be made again, and the site's devices know no other";
