//! Transactions, and what becomes of their connections.

use std::ops::{Deref, DerefMut};

use sqlx::any::Any;
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, AnyPool, Executor};

/// A transaction over a connection of its own. Rolled back unless it is [committed](Self::commit):
/// the connection is closed then.
///
/// Not sqlx's own: where SQLite fails a `COMMIT`, as on a full disk, it has rolled back by itself.
/// sqlx believes that the transaction is still open, and makes of the next one a savepoint within
/// it, whose commit is none.
pub(super) struct WriteTransaction {
    connection: PoolConnection<Any>,
    is_committed: bool,
}

impl WriteTransaction {
    pub(super) async fn begin(pool: &AnyPool) -> Result<Self, sqlx::Error> {
        let mut transaction = Self {
            connection: pool.acquire().await?,
            is_committed: false,
        };
        transaction.execute("BEGIN").await?;
        Ok(transaction)
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        self.is_committed = true;
        Ok(())
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        if !self.is_committed {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for WriteTransaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}
