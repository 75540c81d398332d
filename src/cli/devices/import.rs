//! `engage-host devices import`: what version 0.1.0 kept in files.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;

use super::super::output::{eprint_note, print_result};
use super::store_args::StoreArgs;
use crate::failure::Failure;
use engage_store::{ImportNews, Imported, import};

/// Take over the records of version 0.1.0, or an export.
///
/// Devices, uploads, audits, alerts, refused bodies, and how far the webhook is. The files are only
/// read. What is in the database already is passed over, so that it can be run again. Into SQLite while
/// no daemon runs; into PostgreSQL beside daemons, but not from the directory of one that runs.
///
/// Exit code 0 when everything was taken over, 1 when something was left out.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices import /backup/Engage_Data\n  engage-host devices import Engage_Data --config /etc/engage-host/config.toml"
)]
pub(super) struct Import {
    /// Directory that holds a folder for each device
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<(), Failure> {
        let options = self.store.locate_or_create()?.options;
        let imported = import(&self.directory, &options, &mut |news| {
            if let ImportNews::LeftOut(text) = news {
                eprint_note("warning", text);
            }
        })?;
        print_result(&ImportReport(imported), self.json)?;
        match imported.left_out {
            0 => Ok(()),
            count => Err(Incomplete { count }.into()),
        }
    }
}

/// Something could not be taken over.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("{count} things were left out")]
#[diagnostic(
    code("incomplete"),
    help(
        "the warnings before it name the files and the reasons; mend what you can and run it again: nothing is taken over twice"
    )
)]
struct Incomplete {
    count: usize,
}

/// Serialises as `devices import --json`.
#[derive(Serialize)]
struct ImportReport(Imported);

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Imported {
            devices,
            events,
            quarantined,
            ..
        } = self.0;
        write!(
            f,
            "ok: {devices} devices, {quarantined} refused bodies and {events} events that were not in the database yet"
        )
    }
}
