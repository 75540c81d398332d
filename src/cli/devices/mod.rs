//! `engage-host devices`: what the call-in recorded, for people and scripts.
//!
//! Reads the directory's files, and so works beside a daemon that writes them, and without one.

mod audits;
mod credential;
mod csv;
mod db;
mod indented;
mod ledger;
mod list;
mod show;
mod since;
mod table;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::Failure;
use engage_wire::diagnostic::causes;

/// Show what devices delivered in their call-in.
///
/// Without a subcommand: a table of all devices. Times are UTC. Works while the daemon runs.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  engage-host devices\n  engage-host devices --json --config /etc/engage-host/config.toml\n  engage-host devices show 0123456789ABCDEF\n  engage-host devices audits --since 24h --follow"
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
    Db(db::Db),
    Credential(credential::Credential),
}

impl Devices {
    pub(super) fn run(self) -> ExitCode {
        let outcome = match self.command {
            None => self.list.run(),
            Some(Command::Show(show)) => show.run(),
            Some(Command::Audits(audits)) => audits.run(),
            Some(Command::Db(db)) => db.run(),
            Some(Command::Credential(credential)) => credential.run(),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }
}

/// Something that the reader should know, and that is not the result: to standard error.
fn remark(kind: &str, text: impl Display) {
    eprintln!("{kind}: {text}");
}

/// `fs_err` has named the path.
fn unreadable(error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "is the path right?",
        _ => "the user that runs this command needs read permission",
    };
    Failure::new(format!("{}\n  hint: {hint}", causes(error)))
}
