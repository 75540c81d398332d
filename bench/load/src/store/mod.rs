//! `bench/store`: what the store of devices costs, on SQLite and PostgreSQL.

mod daemon;
mod disk;
mod fill;
mod sizes;
mod speed;

use std::path::PathBuf;

use clap::ValueEnum;
use fs_err as fs;

use crate::trouble::{Outcome, While};
use daemon::Installed;

/// Measure the store of devices on this computer
#[derive(Debug, clap::Args)]
pub(crate) struct Store {
    /// The release binary of engage-host
    #[arg(long, value_name = "FILE")]
    engage_host: PathBuf,
    /// Folder on the disk that is measured; emptied first
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Folder of the socket of a PostgreSQL server on the same disk, with user and database `engage`
    #[arg(long, value_name = "DIR")]
    postgres: Option<PathBuf>,
    /// Measure only this; repeatable
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Rounds of each measurement of speed, 3 seconds each
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Devices of the large store
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    devices: u32,
    /// Events of each of them on SQLite; a tenth of it on PostgreSQL
    #[arg(long, value_name = "N", default_value_t = 100)]
    events: u32,
}

/// What can be measured on its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Acknowledged batches a second, and certificates beside them
    Speed,
    /// A store of many devices: start, memory, queries
    Sizes,
}

/// Where a daemon keeps its devices.
#[derive(Clone, Debug)]
enum Engine {
    Sqlite(PathBuf),
    /// The folder of the server's socket.
    Postgres(PathBuf),
}

impl Engine {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// As `[devices] database_url` names it.
    fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(socket) => {
                format!(
                    "postgres://engage@localhost/engage?host={}",
                    socket.display()
                )
            }
        }
    }
}

pub(crate) async fn run(store: Store) -> Outcome<()> {
    if store.work.exists() {
        fs::remove_dir_all(&store.work)?;
    }
    fs::create_dir_all(&store.work).doing("making the work folder")?;
    let work = store.work.canonicalize()?;
    let installed = Installed::new(&store.engage_host, &work)?;
    let postgres = store.postgres.clone().map(Engine::Postgres);
    let engines = |file: &str| {
        let sqlite = Engine::Sqlite(work.join(file).join("engage-host.db"));
        std::iter::once(sqlite).chain(postgres.clone())
    };
    let has = |part| store.only.is_empty() || store.only.contains(&part);
    if has(Part::Speed) {
        let engines: Vec<_> = engines("speed").collect();
        speed::measure(&installed, &engines, store.rounds).await?;
    }
    if has(Part::Sizes) {
        for engine in engines("sizes") {
            let events = match engine {
                Engine::Sqlite(_) => store.events,
                Engine::Postgres(_) => store.events.div_ceil(10),
            };
            sizes::measure(&installed, &engine, store.devices, events).await?;
        }
    }
    Ok(())
}
