//! Reading and writing, each in the time that there is for it.

use std::io;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::any::Any;
use sqlx::pool::PoolConnection;

use super::super::connect::STATEMENT_TIMEOUT;
use super::super::transaction::WriteTransaction;
use super::{Reply, Shared};
use crate::StoreError;

impl Shared {
    pub(in crate::sql) async fn begin(&self) -> Result<WriteTransaction, sqlx::Error> {
        self.reconnect_if_replaced().await?;
        self.damage().check()?;
        WriteTransaction::begin(&self.pools().writes).await
    }

    /// Makes it durable; and a file, or a log, that somebody removed meanwhile holds nothing.
    pub(in crate::sql) async fn commit(
        &self,
        transaction: WriteTransaction,
    ) -> Result<(), sqlx::Error> {
        transaction.commit().await?;
        if self.is_replaced()? || self.log.as_ref().is_some_and(|log| !log.exists()) {
            // The last connection to close writes what the log holds into the file.
            self.pools().close().await;
            let text = "the file or its log was removed or replaced meanwhile";
            return Err(io::Error::other(text).into());
        }
        Ok(())
    }

    /// It may have to be opened: by a name that may stand for another file by now.
    pub(in crate::sql) async fn reader(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        self.reconnect_if_replaced().await?;
        self.pools().reads.acquire().await
    }

    /// Reads in the time that there is for it.
    pub(in crate::sql) async fn read<T>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T>,
    ) -> Result<T, StoreError> {
        self.limited(async {
            let mut connection = self.reader().await?;
            work(&mut connection).await
        })
        .await
    }

    /// Writes in the time that there is for it: all of it, durably, or nothing.
    pub(in crate::sql) async fn write<T>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T>,
    ) -> Result<T, StoreError> {
        self.limited(async {
            let mut transaction = self.begin().await?;
            let written = work(&mut transaction).await?;
            self.commit(transaction).await?;
            Ok(written)
        })
        .await
    }

    /// For what cannot be stored or read within the time there is.
    pub(in crate::sql) async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        self.limited_to(TRANSACTION_TIMEOUT, work).await
    }

    /// The same, where there is less.
    pub(in crate::sql) async fn limited_to<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let done = tokio::time::timeout(time, work).await;
        done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| self.unavailable(error))
    }
}

/// A transaction of several statements.
const TRANSACTION_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_mul(2);
