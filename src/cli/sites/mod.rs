//! `engage-host sites`: the sites of a host, and their files in `sites_dir`.

mod add;
mod change_report;
mod check;
mod error;
mod import;
mod list;
mod remove;
mod show;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::remote::{RemoteArgs, encoded};
use crate::failure::Failure;

/// List, add, remove and check the sites of this host.
///
/// A site is a `[[site]]` of the configuration, or a file in the folder that its `sites_dir` names. These
/// commands write files only, each whole or not at all, and then have the daemon read them.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host sites list --config /etc/engage-host/config.toml\n  engage-host sites add Annex --host annex.example.com --site-key-file annex.key\n  engage-host sites import sites.csv\n  engage-host sites remove Annex\n  engage-host --server https://10.44.0.5:9480 --token-file token sites list"
)]
pub(super) struct Sites {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Add(Box<add::Add>),
    Remove(remove::Remove),
    Import(import::Import),
    Check(check::CheckSites),
}

impl Sites {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            Command::List(list) => list.json,
            Command::Show(show) => show.json,
            Command::Add(add) => add.json,
            Command::Remove(remove) => remove.json,
            Command::Import(import) => import.json,
            Command::Check(check) => check.json,
        }
    }

    pub(super) fn run(self, remote: &RemoteArgs) -> Result<ExitCode, Failure> {
        let remote = if let Command::Import(_) = &self.command {
            remote.refuse().map(|()| None)
        } else {
            remote.open()
        }?;
        let remote = remote.as_ref();
        match self.command {
            Command::List(list) => list.run(remote),
            Command::Show(show) => show.run(remote),
            Command::Add(add) => add.run(remote),
            Command::Remove(remove) => remove.run(remote),
            Command::Import(import) => import.run(),
            Command::Check(check) => check.run(remote),
        }
    }
}

/// Where the API has the site of this name.
fn path_of(name: &str) -> String {
    format!("/sites/{}", encoded(name))
}

/// Which configuration names the sites.
#[derive(Args, Debug)]
struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}
