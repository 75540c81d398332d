//! An empty store of each kind.

use std::path::PathBuf;

use sqlx::{AnyPool, AssertSqlSafe, Row};
use tokio::runtime::Runtime;

use super::super::connect::pool;
use super::super::engine::Engine;
use crate::conformance::postgres::{PostgresServer, postgres};
use crate::{DatabaseUrl, KeepDays, SqlOptions, SqlStore};

/// Calls `work` with each, over one connection.
pub(in crate::sql) fn with_each_engine(work: impl Fn(&Runtime, &AnyPool)) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("engage-host.db");
    let databases = postgres().map(PostgresServer::create_database);
    let urls = databases.iter().map(|it| it.url().parse().unwrap());
    for url in urls.chain([DatabaseUrl::Sqlite(file)]) {
        let mut options = SqlOptions::sqlite(PathBuf::new());
        options.url = url;
        drop(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let pool = runtime.block_on(async {
            let settings = Engine::new(&options.url).settings();
            pool(options.connect_options(true).unwrap(), settings, 1)
        });
        work(&runtime, &pool);
    }
}

/// How SQLite works a statement off.
pub(in crate::sql) fn steps_of(statement: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let options = SqlOptions::sqlite(folder.path().join("engage-host.db"));
    drop(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
    runtime.block_on(async {
        let settings = Engine::new(&options.url).settings();
        let pool = pool(options.connect_options(true).unwrap(), settings, 1);
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        for row in sqlx::raw_sql(explain).fetch_all(&pool).await.unwrap() {
            steps.push(row.get("detail"));
        }
    });
    assert!(!steps.is_empty());
    steps
}
