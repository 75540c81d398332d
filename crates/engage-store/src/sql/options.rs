//! How a database is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use engage_wire::{Text, TextEncoding, read_text};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::ConnectOptions;
use sqlx::any::AnyConnectOptions;
use zeroize::Zeroizing;

use super::address::{DatabaseUrl, PostgresUrl};
use super::engine::{Engine, beside};
use super::error::open_error;
use crate::OpenError;

/// A database, and what it takes to be let in.
#[derive(Clone)]
pub struct SqlOptions {
    /// Which database it is.
    pub url: DatabaseUrl,
    /// File with the password of the user in the URL; only PostgreSQL asks for one. It is read
    /// whenever connections are made after trouble: passwords are changed while a daemon runs.
    pub password_file: Option<PathBuf>,
    /// PEM file with the issuer of the server's certificate, where the public ones are not meant.
    pub ca_file: Option<PathBuf>,
    /// Where `db.json` files are dropped: `DIRECTORY/SERIAL/db.json`.
    pub directory: Option<PathBuf>,
    /// Whether copies are kept there as files for people to read.
    pub json_files: bool,
    /// How many bytes the database may take; from then on nothing more of devices is stored.
    pub max_bytes: Option<u64>,
}

impl SqlOptions {
    /// A SQLite file, and nothing dropped for devices.
    #[must_use]
    pub fn sqlite(file: PathBuf) -> Self {
        Self {
            url: DatabaseUrl::Sqlite(file),
            password_file: None,
            ca_file: None,
            directory: None,
            json_files: false,
            max_bytes: None,
        }
    }

    pub(super) fn connect_options(&self, writes: bool) -> Result<AnyConnectOptions, OpenError> {
        let options = match &self.url {
            DatabaseUrl::Sqlite(file) => sqlite(file, writes),
            DatabaseUrl::Postgres(url) => {
                let password = self.password_file.as_deref().map(read_password);
                self.postgres(url, password.transpose()?)
            }
        };
        let options = options.map_err(|error| open_error(&Engine::new(&self.url), error))?;
        Ok(options.disable_statement_logging())
    }

    /// For who only reads, with locks, whether or not anybody has a SQLite file open.
    pub(super) fn read_options(&self) -> Result<AnyConnectOptions, OpenError> {
        let options = self.connect_options(false)?;
        Ok(with_locks(&options).unwrap_or(options))
    }

    fn postgres(
        &self,
        url: &PostgresUrl,
        password: Option<Zeroizing<String>>,
    ) -> Result<AnyConnectOptions, sqlx::Error> {
        let mut options = self.without_password(url)?;
        self.ca_file.as_deref().map_or(Ok(()), require_plain)?;
        if let Some(password) = password {
            // It would take a percent sign for the beginning of a code.
            let encoded = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
            let encoded = Zeroizing::new(encoded);
            let _ = options.database_url.set_password(Some(&encoded));
        }
        Ok(options)
    }

    /// The URL with which PostgreSQL's own programs reach the same database, without the password.
    pub(super) fn libpq_url(&self, url: &PostgresUrl) -> Result<String, OpenError> {
        let options = self.without_password(url);
        options
            .map(|it| it.database_url.to_string())
            .map_err(|error| open_error(&Engine::new(&self.url), error))
    }

    fn without_password(&self, url: &PostgresUrl) -> Result<AnyConnectOptions, sqlx::Error> {
        let mut options = AnyConnectOptions::from_str(&url.to_string())?;
        let target = &mut options.database_url;
        let has_mode = target.query_pairs().any(|(name, _)| name == "sslmode");
        if !has_mode {
            let mode = if url.is_socket() {
                "disable"
            } else {
                "verify-full"
            };
            target.query_pairs_mut().append_pair("sslmode", mode);
        }
        if let Some(file) = &self.ca_file {
            let file = file.to_string_lossy();
            target.query_pairs_mut().append_pair("sslrootcert", &file);
        }
        Ok(options)
    }
}

fn read_password(file: &Path) -> Result<Zeroizing<String>, OpenError> {
    let text = read_text("database_password_file", file, MAX_PASSWORD_BYTES)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// sqlx reads this file itself, and would miss the certificate behind a byte order mark. What cannot be
/// read is left to it to tell.
fn require_plain(file: &Path) -> Result<(), sqlx::Error> {
    match Text::read("database_ca_file", file, MAX_CA_BYTES) {
        Ok(text) if text.encoding() != TextEncoding::Utf8 => {
            let file = file.display();
            Err(sqlx::Error::Configuration(
                format!(
                    "database_ca_file `{file}` begins with a byte order mark; allowed: ASCII, as PowerShell's \
                     `Out-File -Encoding ascii` writes it"
                )
                .into(),
            ))
        }
        _ => Ok(()),
    }
}

fn sqlite(file: &Path, writes: bool) -> Result<AnyConnectOptions, sqlx::Error> {
    // A URL has no relative path.
    let path = std::path::absolute(file)?;
    let path = path
        .to_str()
        .ok_or_else(|| sqlx::Error::Configuration("the path is not UTF-8".into()))?;
    let mut options = AnyConnectOptions::from_str("sqlite:///")?;
    options.database_url.set_path(&path.replace('%', "%25"));
    options
        .database_url
        .set_query(Some(match (writes, is_closed(file)) {
            (true, _) => "mode=rw",
            (false, false) => READ_WITH_LOCKS,
            (false, true) => READ_WITHOUT_LOCKS,
        }));
    Ok(options)
}

/// How to read what `options` reads without locks, with them; `None` where they do already.
pub(super) fn with_locks(options: &AnyConnectOptions) -> Option<AnyConnectOptions> {
    let is_unlocked = options.database_url.query() == Some(READ_WITHOUT_LOCKS);
    is_unlocked.then(|| {
        let mut options = options.clone();
        options.database_url.set_query(Some(READ_WITH_LOCKS));
        options
    })
}

/// Whether nobody has a SQLite file open: who has, keeps a log beside it.
pub(super) fn is_closed(file: &Path) -> bool {
    !beside(file, "-wal").exists()
}

impl fmt::Debug for SqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlOptions")
            .field("url", &self.url)
            .field("ca_file", &self.ca_file)
            .field("directory", &self.directory)
            .field("json_files", &self.json_files)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

const READ_WITH_LOCKS: &str = "mode=ro";

/// While nobody has it open: whoever may only read cannot make the files of a WAL.
const READ_WITHOUT_LOCKS: &str = "mode=ro&immutable=1";

/// As much as the webhook takes.
const MAX_CA_BYTES: usize = 4 * 1024 * 1024;

/// Longer is another file.
const MAX_PASSWORD_BYTES: usize = 4096;
