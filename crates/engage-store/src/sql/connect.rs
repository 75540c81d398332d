//! Connections: how they are made, and what each is set to.

use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use tokio::time::timeout;

use super::engine::Engine;
use super::error::open_error;
use super::options::SqlOptions;
use crate::OpenError;
use crate::mode;

/// Connections that write, and others that read.
#[derive(Clone)]
pub(super) struct Pools {
    pub(super) writes: AnyPool,
    pub(super) reads: AnyPool,
    /// One that nothing waits for: a host that is busy lives.
    pub(super) renewals: AnyPool,
}

impl Pools {
    /// Makes a connection at once, so that what is wrong is told.
    pub(super) async fn connect(options: &SqlOptions, engine: &Engine) -> Result<Self, OpenError> {
        if let Engine::Sqlite { file } = engine {
            create_file(file).map_err(|source| OpenError::unusable(file, source))?;
        }
        // A pool would try for as long as it may, and then say that it took too long.
        let first = connect(options, engine).await?;
        first
            .close()
            .await
            .map_err(|error| open_error(engine, error))?;
        let connect = options.connect_options(true)?;
        let pool = |max| pool(connect.clone(), engine.settings(), max);
        Ok(Self {
            writes: pool(engine.max_writes()),
            reads: pool(MAX_READS),
            renewals: pool(1),
        })
    }

    /// How connections are made from now on.
    pub(super) fn set_connect_options(&self, connect: &AnyConnectOptions) {
        for pool in self.all() {
            pool.set_connect_options(connect.clone());
        }
    }

    pub(super) async fn close(&self) {
        for pool in self.all() {
            pool.close().await;
        }
    }

    fn all(&self) -> [&AnyPool; 3] {
        [&self.renewals, &self.reads, &self.writes]
    }
}

/// One connection, as each is set.
pub(super) async fn connect(
    options: &SqlOptions,
    engine: &Engine,
) -> Result<AnyConnection, OpenError> {
    sqlx::any::install_default_drivers();
    let options = options.connect_options(true)?;
    let connected = timeout(CONNECT_TIMEOUT, async {
        let mut connection = AnyConnection::connect_with(&options).await?;
        connection.execute(engine.settings()).await?;
        Ok(connection)
    });
    let connected = connected.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    connected.map_err(|error| open_error(engine, error))
}

/// Connects when it is first needed, and again whenever a connection is lost.
pub(super) fn pool(connect: AnyConnectOptions, settings: &'static str, max: u32) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(CONNECT_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        .after_release(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
        .connect_lazy_with(connect)
}

/// Whether a connection can be used again. Without a limit, one on which a statement was given up
/// would keep its place in the pool until the operating system has given up too.
async fn answers(connection: &mut AnyConnection) -> bool {
    if connection.backend_name() == "SQLite" {
        return true;
    }
    let answered = timeout(CONNECT_TIMEOUT, connection.ping()).await;
    answered.is_ok_and(|it| it.is_ok())
}

/// Before SQLite does, which would let everybody read it.
fn create_file(file: &Path) -> std::io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    mode::of_file(&mut options);
    options.open(file).map(drop)
}

/// Devices wait meanwhile: a database that is away is soon told from one that is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// For one statement.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_READS: u32 = 4;
