//! `engage-host sites list`.

use std::process::ExitCode;

use clap::Args;
use miette::Severity;
use serde::Deserialize;

use super::ConfigArgs;
use crate::cli::output::{entry_text, print, print_json};
use crate::cli::remote::Remote;
use crate::config::Config;
use crate::failure::Failure;
use crate::sites::{ListedSite, sites};
use crate::table::table;
use engage_wire::escape_for_terminal;

/// List every site with its file.
///
/// Whether devices would accept what a site announces is not looked at: `sites check` does that. Another host
/// tells its sites by name.
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
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<ExitCode, Failure> {
        let sites: Vec<_> = match remote {
            Some(remote) => sites_of(remote)?,
            None => sites(&Config::load(&self.config.config)?)
                .map(ListedSite::new)
                .collect(),
        };
        if self.json {
            print_json(&sites)?;
        } else {
            let rows: Vec<_> = sites.iter().map(ListedSite::row).collect();
            print(table(["NAME", "HOSTS", "SERIALS", "FILE"], &rows))?;
            for site in &sites {
                if let Some(error) = &site.error {
                    print(entry_text(Severity::Error, error))?;
                }
            }
        }
        let is_broken = sites.iter().any(|site| site.error.is_some());
        Ok(ExitCode::from(u8::from(is_broken)))
    }
}

/// Those of another host, page by page.
fn sites_of(remote: &Remote) -> Result<Vec<ListedSite>, Failure> {
    let mut sites = Vec::new();
    remote.pages("/sites", |page: SitePage| {
        sites.extend(page.sites);
        page.next
    })?;
    Ok(sites)
}

#[derive(Deserialize)]
struct SitePage {
    sites: Vec<ListedSite>,
    next: Option<String>,
}

impl ListedSite {
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
