//! What a database refused, in our words.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;

use sqlx::error::DatabaseError;

use super::engine::Engine;
use crate::{OpenError, StoreError};

/// What is wrong with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it is damaged: {0}")]
pub(super) struct Damaged(pub(super) String);

/// Why nothing was stored or read.
pub(super) fn unavailable(engine: &Engine, error: sqlx::Error) -> StoreError {
    if is_of_row(&error) {
        return StoreError::Malformed {
            place: engine.place(),
            source: Arc::from(reason(engine, error)),
        };
    }
    StoreError::Unavailable {
        place: engine.place(),
        hint: hint(engine, &error),
        source: Arc::from(reason(engine, error)),
    }
}

/// Why a database cannot be used.
pub(super) fn open_error(engine: &Engine, error: sqlx::Error) -> OpenError {
    OpenError::Database {
        place: engine.place(),
        hint: hint(engine, &error),
        source: reason(engine, error),
    }
}

/// Whether it is about the values and not about the database: others in the same transaction did
/// nothing wrong.
pub(super) fn is_of_values(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        error if is_of_row(error) => true,
        // SQLSTATE classes 22 and 23; of SQLite too long, constraint, mismatch.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let sqlite = code.parse::<u32>().ok().map(|code| code & 0xff);
            code.len() == 5 && (code.starts_with("22") || code.starts_with("23"))
                || code.len() < 5 && matches!(sqlite, Some(18..=20))
        }),
        _ => false,
    }
}

/// Whether it is about one row that was read: the others may be as they should.
pub(super) fn is_of_row(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
    )
}

/// Whether a SQLite file cannot be a database any more.
pub(super) fn is_of_damage(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error)
        if matches!(code(&**error).map(|code| code & 0xff), Some(11 | 26)))
}

/// The database's own message: what stands around it says nothing more. PostgreSQL's names a line of
/// its own source.
pub(super) fn reason(engine: &Engine, error: sqlx::Error) -> Box<dyn Error + Send + Sync> {
    match error {
        sqlx::Error::Database(error) => match engine {
            Engine::Postgres { .. } => error.message().into(),
            Engine::Sqlite { .. } => error.into_error(),
        },
        sqlx::Error::Io(error) => error.into(),
        sqlx::Error::Configuration(error)
        | sqlx::Error::Tls(error)
        | sqlx::Error::Decode(error) => error,
        sqlx::Error::PoolTimedOut => "it did not answer in time".into(),
        error => error.into(),
    }
}

/// A handshake that fails is an error of input to sqlx.
fn is_of_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        error => matches!(error, sqlx::Error::Tls(_)),
    }
}

/// What helps.
pub(super) fn hint(engine: &Engine, error: &sqlx::Error) -> &'static str {
    match engine {
        Engine::Sqlite { .. } => sqlite_hint(error),
        Engine::Postgres { .. } => postgres_hint(error),
    }
}

fn sqlite_hint(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Configuration(error) => match error.downcast_ref() {
            Some(OpenError::Held { .. }) => {
                "stop the other engage-host: this one goes on by itself then"
            }
            _ if error.is::<Damaged>() => DAMAGED,
            _ => PERMISSION,
        },
        sqlx::Error::Io(error) if error.kind() == ErrorKind::NotFound => {
            "move it back, or begin anew with `mkdir`"
        }
        // The kind; what is above it says which one.
        sqlx::Error::Database(error) => match code(&**error).map(|code| code & 0xff) {
            Some(5 | 6) => {
                "another program holds it locked: end that, and make copies with `sqlite3 FILE .backup` only"
            }
            Some(10) => "is the disk all right, and is there a limit of file sizes (`ulimit -f`)?",
            Some(11 | 26) => DAMAGED,
            Some(13) => ROOM,
            _ => PERMISSION,
        },
        _ => PERMISSION,
    }
}

fn postgres_hint(error: &sqlx::Error) -> &'static str {
    let code = match error {
        sqlx::Error::Database(error) => error.code(),
        _ => None,
    };
    match code.as_deref() {
        Some("53100") => ROOM,
        Some("28P01" | "28000") => {
            "is the user in `[devices] database_url` right, and the password in `database_password_file`?"
        }
        Some("3D000") => "create the database: `createdb --owner USER DATABASE`",
        Some("42501") => {
            "the user needs the right to create tables, and all rights on them: make it the owner of the database, or `GRANT CREATE, USAGE ON SCHEMA public`"
        }
        _ if is_of_tls(error) => {
            "the server must offer TLS, with a certificate that is valid for the host in `database_url`; name its issuer with `database_ca_file`"
        }
        _ => "is the server running and reachable? it is tried again by itself",
    }
}

/// SQLite's extended result code.
fn code(error: &dyn DatabaseError) -> Option<u32> {
    error.code()?.parse().ok()
}

const DAMAGED: &str = "the file is damaged or no database of engage-host: nothing was written to it; move it away and restore a backup";

const PERMISSION: &str =
    "the user that runs engage-host needs read and write permission for the file and its directory";

const ROOM: &str = "make room on the disk; devices keep their audits until they are acknowledged";
