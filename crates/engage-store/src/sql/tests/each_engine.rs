//! An empty store of each kind.

use std::path::PathBuf;

use sqlx::AnyPool;
use tokio::runtime::Runtime;

use super::super::connect::{Engine, pool};
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
