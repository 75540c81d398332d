//! `engage-host sites list`, and how the other commands find a site.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ConfigArgs;
use super::error::SitesError;
use crate::cli::devices::table::table;
use crate::cli::output::{ErrorEntry, Failure, print, print_json};
use crate::config::{BrokenSite, Config, SiteConfig, SiteHosts};
use engage_wire::escape_for_terminal;
use engage_wire::site::SiteName;

/// List every site with its file.
///
/// Whether devices would accept what a site announces is not looked at: `sites check` does that.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites list --config /etc/engage-host/config.toml")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.config.config)?;
        let sites: Vec<_> = sites(&config).map(ListedSite::new).collect();
        if self.json {
            print_json(&sites)?;
        } else {
            let rows: Vec<_> = sites.iter().map(ListedSite::row).collect();
            print(table(["NAME", "HOSTS", "SERIALS", "FILE"], &rows))?;
            for site in &sites {
                if let Some(error) = &site.error {
                    print(format_args!("error{error}"))?;
                }
            }
        }
        let is_broken = sites.iter().any(|site| site.error.is_some());
        Ok(ExitCode::from(u8::from(is_broken)))
    }
}

/// A site of the configuration, whether or not its file can be used.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Usable(&'a SiteConfig),
    Broken(&'a BrokenSite),
}

impl<'a> Found<'a> {
    pub(super) fn name(self) -> &'a SiteName {
        match self {
            Self::Usable(site) => &site.name,
            Self::Broken(site) => &site.name,
        }
    }

    pub(super) fn file(self) -> &'a Path {
        match self {
            Self::Usable(site) => &site.file,
            Self::Broken(site) => &site.file,
        }
    }

    /// Unknown for a file that cannot be used.
    pub(super) fn key_file(self) -> Option<PathBuf> {
        match self {
            Self::Usable(site) => Some(site.key_file.clone()),
            Self::Broken(_) => None,
        }
    }
}

/// Every site, in the order of the configuration.
fn sites(config: &Config) -> impl Iterator<Item = Found<'_>> {
    let usable = config.sites.iter().map(|site| Found::Usable(site));
    usable.chain(config.site_files.broken().map(Found::Broken))
}

/// The site of this name.
pub(super) fn find<'a>(config: &'a Config, name: &str) -> Result<Found<'a>, SitesError> {
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
#[derive(Serialize)]
struct ListedSite {
    name: String,
    file: String,
    hosts: Vec<String>,
    is_default: bool,
    /// How many stand in its file.
    serials: usize,
    serials_file: Option<String>,
    /// What is wrong with its file.
    error: Option<ErrorEntry>,
}

impl ListedSite {
    fn new(found: Found<'_>) -> Self {
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

    fn row(&self) -> [String; 4] {
        let hosts = match self.hosts.as_slice() {
            [] if self.is_default => "default".to_owned(),
            [] => "-".to_owned(),
            hosts => match hosts.split_at_checked(MAX_HOSTS) {
                Some((shown, [_, ..])) => {
                    format!("{} and {} more", shown.join(", "), hosts.len() - MAX_HOSTS)
                }
                _ => hosts.join(", "),
            },
        };
        let serials = match &self.serials_file {
            Some(file) if self.serials == 0 => file.clone(),
            Some(file) => format!("{}, {file}", self.serials),
            None => self.serials.to_string(),
        };
        [&self.name, &hosts, &serials, &self.file].map(|it| escape_for_terminal(it).into_owned())
    }
}

/// Of a site, in the table.
const MAX_HOSTS: usize = 10;
