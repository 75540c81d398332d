//! The store as who changes databases while the daemon runs sees it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::database::{self, DatabaseSource, DroppedDatabase, StoredDatabase};
use super::shared::Shared;
use super::store::SqlStore;
use crate::{DatabaseChange, DatabaseFile, DatabaseStore, DbVersion, DeviceId, StoreError};

#[async_trait]
impl DatabaseStore for SqlStore {
    async fn stored_database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<(StoredDatabase, Zeroizing<Vec<u8>>)>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let dropped = database::read_dropped(&shared, device).await?;
            let in_force = database::in_force(&shared, device, dropped, now);
            shared.limited(in_force).await
        })
        .await
    }

    async fn set_database(
        &self,
        device: DeviceId,
        file: DatabaseFile,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            shared.check_room(true)?;
            let dropped = database::read_dropped(&shared, device).await?;
            let new = StoredDatabase {
                version: file.database().version(),
                source: DatabaseSource::Command,
                taken_at: now,
                file_version: dropped.version(),
            };
            let found = Found::read(&shared, device, dropped, now).await?;
            if let Some(mismatch) = found.mismatch(if_match) {
                return Ok(mismatch);
            }
            let replaced = shared.write(move |connection| {
                Box::pin(async move {
                    let body = file.as_bytes();
                    match if_match {
                        Some(_) => {
                            database::replace(connection, device, found.stored, &new, body).await
                        }
                        None => database::put(connection, device, &new, body)
                            .await
                            .map(|()| true),
                    }
                })
            });
            changed(&shared, device, replaced.await?, now).await
        })
        .await
    }

    async fn remove_database(
        &self,
        device: DeviceId,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let dropped = database::read_dropped(&shared, device).await?;
            if let (false, Some(directory)) = (
                matches!(dropped, DroppedDatabase::Nothing),
                shared.directory(),
            ) {
                let path = DroppedDatabase::path(directory, device);
                return Ok(DatabaseChange::Dropped { path });
            }
            let found = Found::read(&shared, device, dropped, now).await?;
            if let Some(mismatch) = found.mismatch(if_match) {
                return Ok(mismatch);
            }
            let Some(stored) = found.stored.filter(|_| found.in_force != DbVersion::NONE) else {
                return Ok(DatabaseChange::Absent);
            };
            let removed = shared
                .write(move |connection| Box::pin(database::remove(connection, device, stored)));
            changed(&shared, device, removed.await?, now).await
        })
        .await
    }
}

/// What there is before a change.
struct Found {
    /// What the device would be sent.
    in_force: DbVersion,
    /// Of the row, which a file that was taken away leaves.
    stored: Option<DbVersion>,
}

impl Found {
    async fn read(
        shared: &Shared,
        device: DeviceId,
        dropped: DroppedDatabase,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        // Of one moment: whoever changes the row between the two looks is seen, and so is a file that is
        // taken over by the first.
        let found = async {
            let mut stored = Self::stored(shared, device).await?;
            loop {
                let in_force = database::in_force(shared, device, dropped.clone(), now).await?;
                let before = stored;
                stored = Self::stored(shared, device).await?;
                if stored == before {
                    let in_force = in_force.map_or(DbVersion::NONE, |(it, _)| it.version);
                    return Ok(Self { in_force, stored });
                }
            }
        };
        shared.limited(found).await
    }

    async fn stored(shared: &Shared, device: DeviceId) -> Result<Option<DbVersion>, sqlx::Error> {
        let stored = database::stored(&mut *shared.reader().await?, device).await?;
        Ok(stored.map(|it| it.version))
    }

    fn mismatch(&self, if_match: Option<DbVersion>) -> Option<DatabaseChange> {
        let found = self.in_force;
        let is_other = if_match.is_some_and(|expected| expected != found);
        is_other.then_some(DatabaseChange::Mismatch { found })
    }
}

/// Where it was not changed, somebody else was faster.
async fn changed(
    shared: &Shared,
    device: DeviceId,
    is_changed: bool,
    now: Timestamp,
) -> Result<DatabaseChange, StoreError> {
    if is_changed {
        return Ok(DatabaseChange::Changed);
    }
    let dropped = database::read_dropped(shared, device).await?;
    let Found {
        in_force: found, ..
    } = Found::read(shared, device, dropped, now).await?;
    Ok(DatabaseChange::Mismatch { found })
}
