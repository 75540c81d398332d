//! `engage-host sites`: the sites of a host, and their files in `sites_dir`.

mod add;
mod check;
mod error;
mod import;
mod list;
mod remove;
mod show;
mod table;
mod told;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// List, add, remove and check the sites of this host.
///
/// A site is a `[[site]]` of the configuration, or a file in the folder that its `sites_dir` names. These
/// commands write files only, each whole or not at all, and then have the daemon read them.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host sites list --config /etc/engage-host/config.toml\n  engage-host sites add Annex --host annex.example.com --site-key-file annex.key\n  engage-host sites import sites.csv\n  engage-host sites remove Annex"
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
    Check(check::Check),
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

    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Add(add) => add.run(),
            Command::Remove(remove) => remove.run(),
            Command::Import(import) => import.run(),
            Command::Check(check) => check.run(),
        }
    }
}

/// Which configuration names the sites.
#[derive(Args, Debug)]
struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}
