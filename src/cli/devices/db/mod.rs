//! `engage-host devices db`: the databases that devices are to have.

mod check;
mod set;
mod show;

use std::path::Path;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::super::output::eprint_note;
use super::super::remote::Remote;
use super::error::DevicesError;
use super::path_of;
use crate::failure::Failure;
use crate::table::dated;
use engage_store::{Database, DbContents, DeviceId, DeviceRecord, MAX_DB_BYTES};
use engage_wire::Text;

/// Check, set and show the databases that devices are to have.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices db check db.json\n  engage-host devices db set 0123456789ABCDEF db.json\n  engage-host devices db show 0123456789ABCDEF"
)]
pub(super) struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckDatabase),
    Set(set::Set),
    Show(show::Show),
}

impl Db {
    pub(super) fn is_json(&self) -> bool {
        matches!(&self.command, Command::Show(show) if show.json)
    }

    /// Whether only the host itself can do it.
    pub(super) fn is_of_files(&self) -> bool {
        matches!(&self.command, Command::Check(_))
    }

    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        match self.command {
            Command::Check(check) => check.run(),
            Command::Set(set) => set.run(remote),
            Command::Show(show) => show.run(remote),
        }
    }
}

/// A file with the database in it, which would be sent.
fn read(file: &Path) -> Result<(Zeroizing<Vec<u8>>, Database), Failure> {
    let contents = Text::read("database", file, MAX_DB_BYTES)?.into_bytes();
    let database = Database::parse(&contents).map_err(|source| DevicesError::Database {
        path: file.to_owned(),
        source,
    })?;
    for warning in database.warnings() {
        eprint_note("warning", warning);
    }
    Ok((contents, database))
}

/// What would be sent, a line for each part.
fn counted(contents: DbContents, warnings: usize) -> String {
    let DbContents {
        size_bytes: _,
        deletes_all_users,
        users_deleted,
        users_updated,
        users_added,
        schedules,
        holidays,
        auto_unlocks,
        has_config,
    } = contents;
    let first = if deletes_all_users {
        "delete all, then "
    } else {
        ""
    };
    let listed = |number: Option<usize>| match number {
        None => "not sent: the device keeps its own".to_owned(),
        Some(0) => "0: erases those of the device".to_owned(),
        Some(number) => number.to_string(),
    };
    format!(
        "  users       {first}delete {users_deleted}, update {users_updated}, add {users_added}\n  \
         schedules   {schedules}\n  \
         holidays    {}\n  \
         autoUnlock  {}\n  \
         config      {}\n  \
         warnings    {warnings}",
        listed(holidays),
        listed(auto_unlocks),
        if has_config { "sent" } else { "not sent" }
    )
}

/// Where the API has it.
fn path_of_database(device: DeviceId) -> String {
    format!("{}/database", path_of(device))
}

/// When a device is to ask for its database, as far as is known.
fn next_call(record: Option<&DeviceRecord>) -> String {
    match record.and_then(|record| record.next_call_in.as_ref()) {
        Some(told) => dated(told, "told as"),
        None => "not known: the device has not asked for a database yet".to_owned(),
    }
}
