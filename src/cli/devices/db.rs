//! `engage-host devices db`: the databases that integrators drop.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fs_err::File;

use super::super::output::{Failure, print};
use super::remark;
use super::unreadable;
use engage_store::{Database, DbContents};
use engage_wire::diagnostic::explained;

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
/// Exit code 0 when it would be sent, 1 when not. Duplicates are warnings.
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
        let contents = read(&file)?;
        let database = Database::parse(&contents).map_err(|error| {
            Failure::new(format!(
                "database `{}` would not be sent: {}",
                file.display(),
                explained(&error)
            ))
        })?;
        for duplicate in database.duplicates() {
            remark("warning", duplicate);
        }
        print(counted(&file, &database));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut contents = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut contents))
        .map_err(|error| unreadable(&error))?;
    if contents.len() as u64 > MAX_BYTES {
        return Err(Failure::new(format!(
            "database `{}` is too large; allowed: {MAX_BYTES} bytes\n  hint: is this the right file? a lock holds a few thousand users",
            path.display()
        )));
    }
    Ok(contents)
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
         duplicates  {}",
        file.display(),
        database.version(),
        listed(holidays),
        listed(auto_unlocks),
        if has_config { "sent" } else { "not sent" },
        database.duplicates().len()
    )
}

/// What the daemon reads of a file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
