//! Whether a SQLite file is damaged: it is looked through at each start, before anything is written.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection, Executor, Row};
use tokio::time::timeout;
use tracing::error;

use super::engine::Engine;
use super::error::{Damaged, is_of_damage, open_error};
use super::options::SqlOptions;
use crate::OpenError;

/// What has been found of a file; it may be looked through still.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<OnceLock<Damaged>>);

impl Damage {
    /// Looks through the file of a database. A long one is in use before all of it has been seen:
    /// this waits for `longest` only.
    pub(super) async fn look(
        options: &SqlOptions,
        engine: &Engine,
        longest: Duration,
    ) -> Result<Self, OpenError> {
        let damage = Self::default();
        let Engine::Sqlite { file } = engine else {
            return Ok(damage);
        };
        // One that is not there yet, or empty, is made.
        if fs_err::metadata(file).map_or(0, |it| it.len()) > 0 {
            let (found, connect) = (damage.clone(), options.read_options()?);
            let looking = tokio::spawn(async move { found.look_through(&connect).await });
            let _ = timeout(longest, looking).await;
        }
        match damage.check() {
            Ok(()) => Ok(damage),
            Err(error) => Err(open_error(engine, error)),
        }
    }

    /// Fails where it is known to be damaged.
    pub(super) fn check(&self) -> Result<(), sqlx::Error> {
        match self.0.get() {
            None => Ok(()),
            Some(damaged) => Err(sqlx::Error::Configuration(Box::new(damaged.clone()))),
        }
    }

    /// What keeps it from being read at all is for the opening to say.
    async fn look_through(&self, connect: &AnyConnectOptions) {
        let problem = match problem(connect).await {
            Ok(Some(problem)) => problem,
            Err(error) if is_of_damage(&error) => error.to_string(),
            Ok(None) | Err(_) => return,
        };
        let problem = problem.split_whitespace().collect::<Vec<_>>().join(" ");
        error!("the database is damaged, and is not written any more: {problem}");
        let _ = self.0.set(Damaged(problem));
    }
}

/// The first thing that is wrong.
async fn problem(connect: &AnyConnectOptions) -> Result<Option<String>, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let connect = connect.clone().disable_statement_logging();
    let mut connection = AnyConnection::connect_with(&connect).await?;
    let found = connection.fetch_one("PRAGMA quick_check(1)").await?;
    let found: String = found.try_get(0)?;
    connection.close().await?;
    Ok((found != "ok").then_some(found))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{KeepDays, SqlStore};

    #[tokio::test]
    async fn a_long_file_is_used_until_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("engage-host.db");
        let options = SqlOptions::sqlite(file.clone());
        let engine = Engine::new(&options.url);
        drop(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
        let whole = Damage::look(&options, &engine, Duration::from_secs(30)).await;
        whole.unwrap().check().unwrap();
        let mut bytes = fs_err::read(&file).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
        fs_err::write(&file, bytes).unwrap();
        // A short file may have been looked through all the same.
        if let Ok(damage) = Damage::look(&options, &engine, Duration::ZERO).await {
            let deadline = Instant::now() + Duration::from_secs(30);
            while damage.check().is_ok() {
                assert!(Instant::now() < deadline);
                tokio::task::yield_now().await;
            }
        }
        let refused = Damage::look(&options, &engine, Duration::from_secs(30)).await;
        refused.unwrap_err();
    }
}
