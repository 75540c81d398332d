//! `engage-host devices`: what the call-in recorded, for people and scripts.
//!
//! Reads the database, and so works beside a daemon that writes it, and without one.

mod audits;
mod backup;
mod credential;
mod db;
mod device_pages;
mod error;
mod event_pages;
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

use super::remote::{Remote, RemoteArgs, encoded};
use crate::failure::Failure;
use engage_store::{DeviceId, DeviceRecord};

/// Show what devices delivered in their call-in.
///
/// Without a subcommand: a table of all devices. Times are UTC. Works while the daemon runs.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  engage-host devices\n  engage-host devices --site hall --not-seen-since 2d\n  engage-host devices --json --config /etc/engage-host/config.toml\n  engage-host devices show 0123456789ABCDEF\n  engage-host devices audits --since 24h --follow\n  engage-host --server https://10.44.0.5:9480 --token-file token devices"
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

    pub(super) fn run(self, remote: &RemoteArgs) -> Result<ExitCode, Failure> {
        let remote = if self.is_of_files() {
            remote.refuse().map(|()| None)
        } else {
            remote.open()
        }?;
        let remote = remote.as_ref();
        match self.command {
            None => self.list.run(remote),
            Some(Command::Show(show)) => show.run(remote),
            Some(Command::Audits(audits)) => audits.run(remote),
            Some(Command::Undelivered(undelivered)) => undelivered.run(remote),
            Some(Command::Quarantine(quarantine)) => quarantine.run(remote),
            Some(Command::Db(db)) => db.run(remote),
            Some(Command::Backup(backup)) => backup.run(),
            Some(Command::Export(export)) => export.run(),
            Some(Command::Import(import)) => import.run(),
            Some(Command::Credential(credential)) => credential.run(remote),
        }?;
        Ok(ExitCode::SUCCESS)
    }

    /// Whether only the host itself can do it.
    fn is_of_files(&self) -> bool {
        match &self.command {
            None
            | Some(
                Command::Show(_)
                | Command::Audits(_)
                | Command::Undelivered(_)
                | Command::Credential(_),
            ) => false,
            Some(Command::Db(db)) => db.is_of_files(),
            Some(Command::Quarantine(quarantine)) => quarantine.is_of_files(),
            Some(Command::Backup(_) | Command::Export(_) | Command::Import(_)) => true,
        }
    }
}

/// What another host knows of a device, if it has called there.
fn record_of(remote: &Remote, device: DeviceId) -> Result<Option<DeviceRecord>, Failure> {
    match remote.get(&path_of(device)) {
        Ok(answer) => Ok(Some(answer.read()?)),
        Err(error) if error.is("unknown-device") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where the API has it.
fn path_of(device: DeviceId) -> String {
    format!("/devices/{}", encoded(&device.to_string()))
}
