//! Connections: how they are made, and what each is set to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use tokio::time::timeout;

use super::address::DatabaseUrl;
use super::error::open_error;
use super::options::SqlOptions;
use crate::OpenError;
use crate::mode;

/// By the clock of a PostgreSQL server, in microseconds since 1970.
macro_rules! now {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    };
}
pub(super) use now;

/// Which engine a database is of, and where.
#[derive(Clone, Debug)]
pub(super) enum Engine {
    Sqlite {
        file: PathBuf,
    },
    /// Without a password.
    Postgres {
        url: String,
    },
}

/// Connections that write, and others that read.
#[derive(Clone)]
pub(super) struct Pools {
    pub(super) writes: AnyPool,
    pub(super) reads: AnyPool,
    /// One that nothing waits for: a host that is busy lives.
    pub(super) renewals: AnyPool,
}

impl Engine {
    pub(super) fn new(url: &DatabaseUrl) -> Self {
        match url {
            DatabaseUrl::Sqlite(file) => Self::Sqlite { file: file.clone() },
            DatabaseUrl::Postgres(url) => Self::Postgres {
                url: url.to_string(),
            },
        }
    }

    /// For messages.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Sqlite { file } => format!("`{}`", file.display()),
            Self::Postgres { url } => format!("`{url}`"),
        }
    }

    /// A migration with this engine's names for its types. They are written in capitals, and nothing
    /// else there is.
    pub(super) fn with_types(&self, migration: &str) -> String {
        let (bytes, name) = match self {
            Self::Sqlite { .. } => ("BLOB", "TEXT"),
            // Of the server's own order nothing is known.
            Self::Postgres { .. } => ("BYTEA", "TEXT COLLATE \"C\""),
        };
        migration
            .replace("BYTES", bytes)
            .replace(" NAME", &format!(" {name}"))
    }

    /// Commits are durable, and every wait ends.
    pub(super) fn settings(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => {
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;"
            }
            Self::Postgres { .. } => {
                // A host that hangs in a transaction loses its locks before another gives up waiting.
                "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
                 SET idle_in_transaction_session_timeout = '3s'; SET synchronous_commit = on"
            }
        }
    }

    /// The statement that says how many bytes the database takes. With SQLite, less those that are free
    /// for what comes next: its file does not become shorter.
    pub(super) fn size(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => {
                "SELECT (page_count - freelist_count) * page_size \
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
            }
            Self::Postgres { .. } => "SELECT pg_database_size(current_database())",
        }
    }

    /// The statement that says what time it is, in microseconds since 1970. A SQLite file is on the
    /// computer of whoever writes into it.
    pub(super) fn now(&self) -> Option<&'static str> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres { .. } => Some(concat!("SELECT ", now!())),
        }
    }

    /// For who only reads.
    pub(super) fn read_settings(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "PRAGMA busy_timeout = 5000",
            Self::Postgres { .. } => {
                "SET statement_timeout = '120s'; SET default_transaction_read_only = on"
            }
        }
    }

    /// SQLite has one writer at a time: a second would only wait in vain.
    fn max_writes(&self) -> u32 {
        match self {
            Self::Sqlite { .. } => 1,
            Self::Postgres { .. } => 4,
        }
    }
}

impl Pools {
    /// Makes a connection at once, so that what is wrong is told.
    pub(super) async fn connect(options: &SqlOptions, engine: &Engine) -> Result<Self, OpenError> {
        if let Engine::Sqlite { file } = engine {
            create_file(file).map_err(|source| OpenError::unusable(file, source))?;
        }
        // A pool would try for as long as it may, and then say that it took too long.
        let first = connect(options, engine).await?;
        first
            .close()
            .await
            .map_err(|error| open_error(engine, error))?;
        let connect = options.connect_options(true)?;
        let pool = |max| pool(connect.clone(), engine.settings(), max);
        Ok(Self {
            writes: pool(engine.max_writes()),
            reads: pool(MAX_READS),
            renewals: pool(1),
        })
    }

    /// How connections are made from now on.
    pub(super) fn set_connect_options(&self, connect: &AnyConnectOptions) {
        for pool in self.all() {
            pool.set_connect_options(connect.clone());
        }
    }

    pub(super) async fn close(&self) {
        for pool in self.all() {
            pool.close().await;
        }
    }

    fn all(&self) -> [&AnyPool; 3] {
        [&self.renewals, &self.reads, &self.writes]
    }
}

/// One connection, as each is set.
pub(super) async fn connect(
    options: &SqlOptions,
    engine: &Engine,
) -> Result<AnyConnection, OpenError> {
    sqlx::any::install_default_drivers();
    let options = options.connect_options(true)?;
    let connected = timeout(CONNECT_TIMEOUT, async {
        let mut connection = AnyConnection::connect_with(&options).await?;
        connection.execute(engine.settings()).await?;
        Ok(connection)
    });
    let connected = connected.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    connected.map_err(|error| open_error(engine, error))
}

/// Connects when it is first needed, and again whenever a connection is lost.
pub(super) fn pool(connect: AnyConnectOptions, settings: &'static str, max: u32) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(CONNECT_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        .after_release(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
        .connect_lazy_with(connect)
}

/// Whether a connection can be used again. Without a limit, one on which a statement was given up
/// would keep its place in the pool until the operating system has given up too.
async fn answers(connection: &mut AnyConnection) -> bool {
    if connection.backend_name() == "SQLite" {
        return true;
    }
    let answered = timeout(CONNECT_TIMEOUT, connection.ping()).await;
    answered.is_ok_and(|it| it.is_ok())
}

pub(super) fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// A file that SQLite keeps beside a database.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Before SQLite does, which would let everybody read it.
fn create_file(file: &Path) -> std::io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    mode::of_file(&mut options);
    options.open(file).map(drop)
}

/// Devices wait meanwhile: a database that is away is soon told from one that is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// For one statement.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_READS: u32 = 4;
