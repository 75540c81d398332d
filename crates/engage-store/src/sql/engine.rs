//! Which database it is, and in what it differs from the other.

use std::path::{Path, PathBuf};

use super::address::DatabaseUrl;

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
    pub(super) fn max_writes(&self) -> u32 {
        match self {
            Self::Sqlite { .. } => 1,
            Self::Postgres { .. } => 4,
        }
    }
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
