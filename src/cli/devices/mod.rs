//! `engage-host devices`: what the call-in recorded, for people and scripts.
//!
//! Reads the database, and so works beside a daemon that writes it, and without one.

mod audits;
mod backup;
mod credential;
mod db;
mod error;
mod export;
mod import;
mod left_out;
mod list;
mod quarantine;
mod show;
mod since;
pub(super) mod store_args;
mod undelivered;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Show what devices delivered in their call-in.
///
/// Without a subcommand: a table of all devices. Times are UTC. Works while the daemon runs.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  engage-host devices\n  engage-host devices --site hall --not-seen-since 2d\n  engage-host devices --json --config /etc/engage-host/config.toml\n  engage-host devices show 0123456789ABCDEF\n  engage-host devices audits --since 24h --follow"
)]
pub(super) struct Devices {
    #[command(flatten)]
    list: list::List,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
    Audits(audits::Audits),
    Undelivered(undelivered::UndeliveredArgs),
    Quarantine(quarantine::Quarantine),
    Db(db::Db),
    Backup(backup::Backup),
    Export(export::Export),
    Import(import::Import),
    Credential(credential::Credential),
}

impl Devices {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            None => self.list.json,
            Some(Command::Show(show)) => show.json,
            Some(Command::Audits(audits)) => audits.form.json,
            Some(Command::Undelivered(undelivered)) => undelivered.json,
            Some(Command::Quarantine(quarantine)) => quarantine.is_json(),
            Some(Command::Backup(backup)) => backup.json,
            Some(Command::Export(export)) => export.json,
            Some(Command::Import(import)) => import.json,
            Some(Command::Db(db)) => db.is_json(),
            Some(Command::Credential(_)) => false,
        }
    }

    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            None => self.list.run(),
            Some(Command::Show(show)) => show.run(),
            Some(Command::Audits(audits)) => audits.run(),
            Some(Command::Undelivered(undelivered)) => undelivered.run(),
            Some(Command::Quarantine(quarantine)) => quarantine.run(),
            Some(Command::Db(db)) => db.run(),
            Some(Command::Backup(backup)) => backup.run(),
            Some(Command::Export(export)) => export.run(),
            Some(Command::Import(import)) => import.run(),
            Some(Command::Credential(credential)) => credential.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
