//! `engage-host devices db`: the databases that integrators drop.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::super::output::{Failure, eprint_note, print};
use super::error::DevicesError;
use engage_store::{Database, DbContents, MAX_DB_BYTES};
use engage_wire::read_regular_file;

/// Check databases before devices see them.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host devices db check db.json")]
pub(super) struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
}

/// Check a `db.json` as the daemon does, and count what would be sent.
///
/// Exit code 0 when it would be sent, 1 when not.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host devices db check db.json && cp db.json Engage_Data/0123456789ABCDEF/"
)]
struct Check {
    /// The database: `{"db":{..},"config":{..}}`
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Db {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Command::Check(Check { file }) = self.command;
        let contents = read_regular_file("database", &file, MAX_DB_BYTES)?;
        let database = Database::parse(&contents).map_err(|source| DevicesError::Database {
            path: file.clone(),
            source,
        })?;
        for warning in database.warnings() {
            eprint_note("warning", warning);
        }
        print(counted(&file, &database))
    }
}

fn counted(file: &Path, database: &Database) -> String {
    let DbContents {
        size_bytes,
        deletes_all_users,
        users_deleted,
        users_updated,
        users_added,
        schedules,
        holidays,
        auto_unlocks,
        has_config,
    } = database.contents();
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
        "ok: `{}` would be sent, {size_bytes} bytes, version {}\n  \
         users       {first}delete {users_deleted}, update {users_updated}, add {users_added}\n  \
         schedules   {schedules}\n  \
         holidays    {}\n  \
         autoUnlock  {}\n  \
         config      {}\n  \
         warnings    {}",
        file.display(),
        database.version(),
        listed(holidays),
        listed(auto_unlocks),
        if has_config { "sent" } else { "not sent" },
        database.warnings().len()
    )
}
