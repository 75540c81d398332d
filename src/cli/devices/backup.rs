//! `engage-host devices backup`: a copy of the database.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;

use super::super::output::print_result;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use crate::recording::StoreLocation;
use engage_store::BackupError;

/// Copy the SQLite database to a new file, while the daemon runs.
///
/// The copy has everything that was acknowledged before; it is checked and durable when the command
/// ends with exit code 0. It may hold Wi-Fi credentials. A PostgreSQL server makes its own copies: the
/// command says how.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host devices backup /backup/engage-host-2026-11-29.db --config /etc/engage-host/config.toml"
)]
pub(super) struct Backup {
    /// The copy, which must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON instead of a sentence
    #[arg(long)]
    pub(super) json: bool,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), Failure> {
        let StoreLocation { options, .. } = self.store.locate()?;
        let made = BackupReport {
            size_bytes: match options.backup(&self.file) {
                Ok(size) => size,
                Err(BackupError::Server {
                    database,
                    libpq_url,
                }) => {
                    let command = pg_dump(&libpq_url, options.password_file.as_deref(), &self.file);
                    return Err(OnServer { database, command }.into());
                }
                Err(error) => return Err(error.into()),
            },
            database: options.url.to_string(),
            file: self.file,
        };
        print_result(&made, self.json)
    }
}

/// A server's database is copied by the server's programs.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("database `{database}` is on a server, which is not copied as a file")]
#[diagnostic(code("database-on-server"), help("copy it with: {command}"))]
struct OnServer {
    database: String,
    command: String,
}

/// Serialises as `devices backup --json`.
#[derive(Serialize)]
struct BackupReport {
    database: String,
    file: PathBuf,
    size_bytes: u64,
}

impl Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ok: copied `{}` to `{}`, {} bytes, checked",
            self.database,
            self.file.display(),
            self.size_bytes
        )
    }
}

/// The command for a shell.
fn pg_dump(url: &str, password_file: Option<&Path>, copy: &Path) -> String {
    let password = password_file.map(|file| format!("PGPASSWORD=\"$(cat {})\" ", quoted(file)));
    format!(
        "{}pg_dump --format=custom --file={} {}",
        password.unwrap_or_default(),
        quoted(copy),
        quoted(url.as_ref())
    )
}

/// One word for a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_the_shell_is_one_word_whatever_it_holds() {
        assert_eq!(quoted(Path::new("a b'c$d")), r"'a b'\''c$d'");
    }
}
