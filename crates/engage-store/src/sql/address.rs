//! Which database: `[devices] database_url`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;

/// A SQLite file, or a database of a PostgreSQL server. Never holds a password. Displayed as it is
/// written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DatabaseUrl {
    /// `sqlite:FILE`; a relative path is relative to whatever its owner says.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST/DATABASE`.
    Postgres(PostgresUrl),
}

/// A URL that was checked. Displayed as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostgresUrl(String);

impl DatabaseUrl {
    /// Whether any text, such as a configuration, holds a database's URL with a password. To be
    /// asked before the text is quoted in a message.
    #[must_use]
    pub fn is_password_written_in(text: &str) -> bool {
        POSTGRES.iter().any(|scheme| {
            text.match_indices(scheme).any(|(at, _)| {
                let url = &text[at + scheme.len()..];
                let end = url.find(['"', '\'', '\n']).unwrap_or(url.len());
                holds_password(&url[..end])
            })
        })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // `sqlite:///srv/x.db` names the same file as `sqlite:/srv/x.db`.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" || path.contains(['?', '#']) {
                return Err(DatabaseUrlError::SqliteFile);
            }
            return Ok(Self::Sqlite(path.into()));
        }
        let Some(rest) = POSTGRES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
            let scheme = text.split(':').next().filter(|_| text.contains(':'));
            return Err(DatabaseUrlError::Scheme {
                found: scheme.unwrap_or("none").chars().take(20).collect(),
            });
        };
        if holds_password(rest) {
            return Err(DatabaseUrlError::Password);
        }
        let url = AnyConnectOptions::from_str(text)
            .map_err(|_| DatabaseUrlError::Syntax)?
            .database_url;
        if url.username().is_empty() || url.path().len() < 2 {
            return Err(DatabaseUrlError::Syntax);
        }
        let known = |name: &str| PARAMETERS.contains(&name);
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !known(name)) {
            return Err(DatabaseUrlError::Parameter { found: name.into() });
        }
        Ok(Self::Postgres(PostgresUrl(text.to_owned())))
    }
}

/// What follows the scheme: credentials end at the last `@`, whatever stands in the password.
fn holds_password(rest: &str) -> bool {
    let credentials = rest.rsplit_once('@').map_or("", |(before, _)| before);
    credentials.contains(':') || rest.contains("password=")
}

impl PostgresUrl {
    /// Whether the server is on this computer, behind a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        let Ok(options) = AnyConnectOptions::from_str(&self.0) else {
            return false;
        };
        let url = options.database_url;
        let host = url.query_pairs().find(|(name, _)| name == "host");
        match host {
            Some((_, host)) => host.starts_with('/'),
            None => url.host_str().is_some_and(|host| host.starts_with("%2F")),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that names no database. Never quotes it: it may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// A parameter after the question mark that would do nothing, or something unforeseen.
    #[error("it has the parameter `{found}`; allowed: {}", PARAMETERS.join(", "))]
    Parameter {
        /// Its name.
        found: String,
    },
    /// It would be in a file that everybody may read, and in backups of it.
    #[error("it holds a password; allowed: a file, which `database_password_file` names")]
    Password,
    /// Some other database.
    #[error("its scheme is `{found}`; allowed: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`")]
    Scheme {
        /// What stands before the colon.
        found: String,
    },
    /// No file.
    #[error("it names no file; allowed: `sqlite:FILE`, without parameters")]
    SqliteFile,
    /// No URL.
    #[error("it is no URL with user and database; allowed: `postgres://USER@HOST/DATABASE`")]
    Syntax,
}

const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];

/// Those of libpq that make sense here.
const PARAMETERS: [&str; 4] = ["application_name", "host", "port", "sslmode"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_is_refused_and_found_in_any_text() {
        for url in [
            "postgres://engage:secret@db.example/engage",
            "postgresql://engage:p/w@x@db.example/engage",
            "postgres://engage@db.example/engage?password=secret",
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(DatabaseUrlError::Password));
            let text = format!("[devices]\ndatabase_url = \"{url}\"\nplain_http = true\n");
            assert!(DatabaseUrl::is_password_written_in(&text), "{url}");
        }
        let text = "# a:b@c\ndatabase_url = \"postgres://engage@db.example:5432/engage\"\n# a:b@c";
        assert!(!DatabaseUrl::is_password_written_in(text));
    }

    #[test]
    fn both_engines_are_known_by_their_scheme_and_no_other() {
        for url in ["sqlite:a/b.db", "sqlite://a/b.db"] {
            assert_eq!(url.parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        }
        for (url, is_socket) in [
            ("postgres://engage@db.example/engage", false),
            (
                "postgres://engage@localhost/engage?host=/run/postgresql",
                true,
            ),
            ("postgres://engage@%2Frun%2Fpostgresql/engage", true),
        ] {
            let Ok(DatabaseUrl::Postgres(parsed)) = url.parse() else {
                panic!("{url}");
            };
            assert_eq!(parsed.is_socket(), is_socket, "{url}");
        }
        for url in [
            "mysql://engage@db/engage",
            "engage.db",
            "sqlite:",
            "sqlite::memory:",
            "postgres://",
            "postgres://db/engage?ssl-mode=disable",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
    }
}
