//! A copy of a SQLite database, made while a daemon writes.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use engage_wire::{replace_file, sync_folder};
use fs_err::OpenOptions;
use miette::Diagnostic;
use sqlx::{AnyConnection, AnyPool, Connection, Row};

use super::address::DatabaseUrl;
use super::engine::{Engine, directory_of};
use super::error::{hint, reason};
use super::options::{SqlOptions, is_closed};
use super::reader::StoreReader;
use crate::{OpenError, mode};

/// Why there is no copy.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum BackupError {
    /// A daemon began to write into a file that nobody had open.
    #[error("a daemon has started while the database was copied: the copy is not used")]
    #[diagnostic(code("backup-interrupted"), help("run this again"))]
    Changed,
    /// The database could not be read, or the copy not be written.
    #[error("failed to copy the database to `{}`", copy.display())]
    #[diagnostic(code("backup-failed"), help("{hint}"))]
    Copy {
        /// Where it was to be.
        copy: PathBuf,
        /// The engine's reason.
        source: Box<dyn Error + Send + Sync>,
        /// What helps against it.
        hint: &'static str,
    },
    /// What was copied is damaged, and so is what it was copied from.
    #[error("the copy of the database is damaged, and is not used: {problem}")]
    #[diagnostic(
        code("damaged-database"),
        help(
            "the database itself is damaged: stop the daemon, move it away, and restore the last good backup"
        )
    )]
    Damaged {
        /// The first thing that SQLite has found.
        problem: String,
    },
    /// There is something of this name.
    #[error("`{}` exists", path.display())]
    #[diagnostic(
        code("exists"),
        help("name another file; backups are never overwritten")
    )]
    Exists {
        /// The path that is taken.
        path: PathBuf,
    },
    /// The database is on a server.
    #[error("database `{database}` is on a server, which is not copied as a file")]
    #[diagnostic(code("database-on-server"), help("`pg_dump` copies it"))]
    Server {
        /// As configured.
        database: String,
        /// For the server's own programs: how the daemon reaches it, without the password.
        libpq_url: String,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Open(#[from] OpenError),
    /// The operating system refused; it has named the path.
    #[error(transparent)]
    #[diagnostic(
        code("backup-failed"),
        help("{}", engage_wire::diagnostic::io_hint(source))
    )]
    File {
        /// Its reason.
        source: io::Error,
    },
}

impl From<io::Error> for BackupError {
    fn from(source: io::Error) -> Self {
        Self::File { source }
    }
}

impl SqlOptions {
    /// Copies a SQLite database to `copy`, which must not exist: one file, checked and durable, with
    /// everything that was acknowledged before. Writes nothing else, and blocks for as long as it takes
    /// to read the database twice. Returns the copy's size in bytes.
    pub fn backup(&self, copy: &Path) -> Result<u64, BackupError> {
        let file = match &self.url {
            DatabaseUrl::Sqlite(file) => file,
            DatabaseUrl::Postgres(url) => {
                return Err(BackupError::Server {
                    database: url.to_string(),
                    libpq_url: self.libpq_url(url)?,
                });
            }
        };
        if fs_err::symlink_metadata(copy).is_ok() {
            let path = copy.to_owned();
            return Err(BackupError::Exists { path });
        }
        let unlocked = Unlocked::look_at(file)?;
        let reader = StoreReader::open(self)?;
        let partial = Partial::create(copy)?;
        reader.runtime.block_on(async {
            copy_into(&reader.pool, &partial.path).await?;
            integrity_check(&partial.path).await
        })?;
        if unlocked.is_some_and(|it| it.has_changed(file)) {
            return Err(BackupError::Changed);
        }
        Ok(partial.finish(copy)?)
    }
}

/// A file that nobody had open is read without locks: what a daemon writes meanwhile would be half in
/// the copy.
struct Unlocked(SystemTime);

impl Unlocked {
    fn look_at(file: &Path) -> io::Result<Option<Self>> {
        if !is_closed(file) || !file.exists() {
            return Ok(None);
        }
        let modified = fs_err::metadata(file)?.modified()?;
        Ok(Some(Self(modified)))
    }

    fn has_changed(&self, file: &Path) -> bool {
        let modified = fs_err::metadata(file).and_then(|it| it.modified());
        modified.map_or(true, |modified| modified != self.0)
    }
}

/// The copy under another name beside its own; removed where it does not come to have that.
struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Made by us, because SQLite would let everybody read it.
    fn create(copy: &Path) -> io::Result<Self> {
        let mut name = copy.as_os_str().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        mode::of_file(&mut options);
        options.open(&path)?;
        Ok(Self { path })
    }

    /// Durable under its name. Returns its size in bytes.
    fn finish(self, copy: &Path) -> io::Result<u64> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.sync_all()?;
        let size = file.metadata()?.len();
        replace_file(&self.path, copy)?;
        sync_folder(directory_of(copy))?;
        Ok(size)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One read transaction: a daemon goes on writing into the log beside the file.
async fn copy_into(pool: &AnyPool, copy: &Path) -> Result<(), BackupError> {
    let copied = sqlx::query("VACUUM INTO $1")
        .bind(copy.to_string_lossy().into_owned())
        .execute(pool);
    copied.await.map(drop).map_err(|error| failed(copy, error))
}

async fn integrity_check(copy: &Path) -> Result<(), BackupError> {
    let options = SqlOptions::sqlite(copy.to_owned()).connect_options(false)?;
    let checked = async {
        let mut connection = AnyConnection::connect_with(&options).await?;
        let row = sqlx::query("PRAGMA integrity_check(1)")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        row.try_get::<String, _>(0)
    };
    match checked.await {
        Ok(outcome) if outcome == "ok" => Ok(()),
        Ok(problem) => Err(BackupError::Damaged { problem }),
        Err(error) => Err(failed(copy, error)),
    }
}

fn failed(copy: &Path, error: sqlx::Error) -> BackupError {
    let engine = Engine::Sqlite {
        file: copy.to_owned(),
    };
    BackupError::Copy {
        copy: copy.to_owned(),
        hint: hint(&engine, &error),
        source: reason(&engine, error),
    }
}
