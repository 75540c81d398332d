//! Finds sites in a configuration, and lists them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::SitesError;
use crate::config::{BrokenSite, Config, SiteConfig, SiteHosts};
use crate::failure::ErrorEntry;
use engage_wire::site::SiteName;

/// A site of the configuration, whether or not its file can be used.
#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    Usable(&'a SiteConfig),
    Broken(&'a BrokenSite),
}

impl<'a> Found<'a> {
    pub(crate) fn name(self) -> &'a SiteName {
        match self {
            Self::Usable(site) => &site.name,
            Self::Broken(site) => &site.name,
        }
    }

    pub(crate) fn file(self) -> &'a Path {
        match self {
            Self::Usable(site) => &site.file,
            Self::Broken(site) => &site.file,
        }
    }

    /// Unknown for a file that cannot be used.
    pub(crate) fn key_file(self) -> Option<PathBuf> {
        match self {
            Self::Usable(site) => Some(site.key_file.clone()),
            Self::Broken(_) => None,
        }
    }
}

/// Every site, in the order of the configuration.
pub(crate) fn sites(config: &Config) -> impl Iterator<Item = Found<'_>> {
    let usable = config.sites.iter().map(|site| Found::Usable(site));
    usable.chain(config.site_files.broken().map(Found::Broken))
}

/// The site of this name.
pub(crate) fn find<'a>(config: &'a Config, name: &str) -> Result<Found<'a>, SitesError> {
    let found = sites(config).find(|site| site.name().as_str() == name);
    found.ok_or_else(|| {
        let distance = |site: &Found<'_>| strsim::damerau_levenshtein(site.name().as_str(), name);
        let nearest = sites(config).min_by_key(distance);
        let nearest = nearest.filter(|it| distance(it) <= name.chars().count().max(3) / 2);
        SitesError::Unknown {
            name: name.to_owned(),
            nearest: nearest.map(|it| it.name().clone()),
        }
    })
}

/// One row; serialises as an entry of `sites list --json`.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct ListedSite {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) is_default: bool,
    /// How many stand in its file.
    pub(crate) serials: usize,
    pub(crate) serials_file: Option<String>,
    /// What is wrong with its file.
    pub(crate) error: Option<ErrorEntry>,
}

impl ListedSite {
    pub(crate) fn new(found: Found<'_>) -> Self {
        let (hosts, serials, serials_file, error): (&SiteHosts, _, _, _) = match found {
            Found::Usable(it) => (&it.hosts, it.serials.len(), &it.serials_file, None),
            Found::Broken(it) => (
                &it.hosts,
                it.serials.len(),
                &it.serials_file,
                Some(&*it.error),
            ),
        };
        Self {
            name: found.name().to_string(),
            file: found.file().display().to_string(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            is_default: hosts.is_default(),
            serials,
            serials_file: serials_file.as_ref().map(|it| it.display().to_string()),
            error: error.map(|it| ErrorEntry::new(it)),
        }
    }
}
