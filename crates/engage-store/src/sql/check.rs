//! Whether a database could be used, without keeping anything of the attempt.

use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row};
use tokio::runtime::Builder;

use super::address::DatabaseUrl;
use super::connect::connect;
use super::engine::Engine;
use super::error::open_error;
use super::options::SqlOptions;
use super::reader::StoreReader;
use super::schema::{check_version, newer_schema, tables};
use crate::OpenError;

impl SqlOptions {
    /// What would keep a daemon from using it: beside one that runs, and before the first has made
    /// its tables. Blocks.
    pub fn check(&self) -> Result<(), OpenError> {
        let engine = Engine::new(&self.url);
        match &self.url {
            DatabaseUrl::Sqlite(file) if file.exists() => {
                let reader = StoreReader::connect(self)?;
                reader.runtime.block_on(check_file(&reader.pool, &engine))?;
                let opened = fs_err::OpenOptions::new().write(true).open(file);
                opened
                    .map(drop)
                    .map_err(|source| OpenError::unusable(file, source))
            }
            // What stands in the way of a file is for the directory to say.
            DatabaseUrl::Sqlite(_) => Ok(()),
            DatabaseUrl::Postgres(_) => {
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| open_error(&engine, error.into()))?;
                runtime.block_on(check_server(self, &engine))
            }
        }
    }
}

/// An empty file, or one without tables, is what a daemon makes of it that is ended at its first start.
async fn check_file(pool: &AnyPool, engine: &Engine) -> Result<(), OpenError> {
    let count = async {
        let row = pool.fetch_one("SELECT count(*) FROM sqlite_master").await?;
        row.try_get::<i64, _>(0)
    };
    match count.await.map_err(|error| open_error(engine, error))? {
        0 => Ok(()),
        _ => check_version(pool, engine).await,
    }
}

async fn check_server(options: &SqlOptions, engine: &Engine) -> Result<(), OpenError> {
    let failed = |error| open_error(engine, error);
    let mut connection = connect(options, engine).await?;
    let version = version(&mut connection).await.map_err(failed)?;
    if let Some(version) = version {
        newer_schema(engine, version)?;
    }
    let tried = async {
        let mut transaction = connection.begin().await?;
        for attempt in attempts(version) {
            transaction.execute(AssertSqlSafe(attempt)).await?;
        }
        transaction.rollback().await?;
        connection.close().await
    };
    tried.await.map_err(failed)
}

/// What needs the rights that a daemon needs, and changes nothing; the first is rolled back.
fn attempts(version: Option<i64>) -> Vec<String> {
    let Some(version) = version else {
        return vec!["CREATE TABLE check_of_rights (id BIGINT)".to_owned()];
    };
    let attempts = tables(version).flat_map(|table| {
        [
            format!("INSERT INTO {table} SELECT * FROM {table} WHERE false"),
            format!("DELETE FROM {table} WHERE false"),
            // Needs the right to update, and no name of a column.
            format!("SELECT 1 FROM {table} WHERE false FOR UPDATE"),
        ]
    });
    attempts.collect()
}

/// `None` where no daemon has made its tables.
async fn version(connection: &mut AnyConnection) -> Result<Option<i64>, sqlx::Error> {
    let tables = "SELECT count(*) FROM information_schema.tables \
        WHERE table_schema = current_schema() AND table_name = 'schema_version'";
    let tables: i64 = connection.fetch_one(tables).await?.try_get(0)?;
    if tables == 0 {
        return Ok(None);
    }
    let version = "SELECT version FROM schema_version WHERE id = 1";
    connection.fetch_one(version).await?.try_get(0).map(Some)
}
