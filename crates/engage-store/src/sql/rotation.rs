//! Where a rotation stands, and what each host makes of it.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::reader::StoreReader;
use super::rotation_reports::{reports, save_report};
use super::store::SqlStore;
use super::store_writer::StoreWriter;
use super::{adoption, error};
use crate::{
    AddressEvidence, AdoptionLedger, AdoptionPage, AdoptionQuery, HostRotation, OpenError,
    Replaced, Rotation, RotationReport, RotationStore, Sighting, StoreError, StoredRotation,
};

#[async_trait]
impl RotationStore for SqlStore {
    async fn rotation(&self) -> Result<StoredRotation, StoreError> {
        self.reading(|connection| Box::pin(rotation(connection)))
            .await
    }

    async fn replace_rotation(
        &self,
        expected_revision: i64,
        next: Option<Rotation>,
    ) -> Result<Replaced, StoreError> {
        self.writing(move |connection| {
            Box::pin(async move { replace(connection, expected_revision, next).await })
        })
        .await
    }

    async fn report_rotation(&self, report: RotationReport) -> Result<(), StoreError> {
        let host = self.shared.host_id().await?;
        self.writing(move |connection| {
            Box::pin(async move { save_report(connection, &host, &report).await })
        })
        .await
    }

    async fn rotation_reports(&self) -> Result<Vec<HostRotation>, StoreError> {
        let engine = self.shared.engine().clone();
        self.reading(move |connection| Box::pin(async move { reports(connection, &engine).await }))
            .await
    }
}

#[async_trait]
impl AdoptionLedger for SqlStore {
    fn sighted(&self, sighting: Sighting) {
        self.shared.sightings.add(sighting);
    }

    async fn evidence_since(&self, since: Timestamp) -> Result<Vec<AddressEvidence>, StoreError> {
        self.reading(move |connection| Box::pin(adoption::evidence_since(connection, since)))
            .await
    }

    async fn adoption(&self, query: &AdoptionQuery) -> Result<AdoptionPage, StoreError> {
        let query = query.clone();
        self.reading(move |connection| {
            Box::pin(async move { adoption::adoption(connection, &query).await })
        })
        .await
    }
}

/// As [`RotationStore`] and [`AdoptionLedger`] have it, for programs without a runtime.
impl StoreReader {
    /// The row as it stands. A database that no daemon of this program has used yet has none.
    pub fn rotation(&self) -> Result<StoredRotation, StoreError> {
        self.query(async |connection| match schema_version(connection).await? {
            ..NEEDED_SCHEMA => Ok(StoredRotation::default()),
            _ => rotation(connection).await,
        })
    }

    /// What the hosts that live serve.
    pub fn rotation_reports(&self) -> Result<Vec<HostRotation>, StoreError> {
        let engine = self.engine.clone();
        self.query(async |connection| reports(connection, &engine).await)
    }

    /// What is known of the devices that a query asks for.
    pub fn adoption(&self, query: &AdoptionQuery) -> Result<AdoptionPage, StoreError> {
        self.query(async |connection| adoption::adoption(connection, query).await)
    }
}

impl StoreWriter {
    /// Fails where no daemon of this program has used the database yet.
    pub fn require_rotations(&mut self) -> Result<(), OpenError> {
        let found = self
            .runtime
            .block_on(schema_version(&mut self.connection))
            .map_err(|error| error::open_error(&self.engine, error))?;
        if found >= NEEDED_SCHEMA {
            return Ok(());
        }
        Err(OpenError::OlderSchema {
            place: self.engine.place(),
            found,
            needed: NEEDED_SCHEMA,
        })
    }

    /// Puts `next` into the row, unless somebody else has changed it since `expected_revision`.
    pub fn replace_rotation(
        &mut self,
        expected_revision: i64,
        next: Option<Rotation>,
    ) -> Result<Replaced, StoreError> {
        let replaced = replace(&mut self.connection, expected_revision, next);
        let done = self.runtime.block_on(replaced);
        done.map_err(|error| error::unavailable(&self.engine, error))
    }
}

async fn schema_version(connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    let version = sqlx::query("SELECT version FROM schema_version WHERE id = 1");
    version.fetch_one(connection).await?.try_get(0)
}

async fn rotation(connection: &mut AnyConnection) -> Result<StoredRotation, sqlx::Error> {
    let row = sqlx::query("SELECT revision, body FROM rotation WHERE id = 1");
    read(&row.fetch_one(connection).await?)
}

fn read(row: &AnyRow) -> Result<StoredRotation, sqlx::Error> {
    let body: Option<String> = row.try_get("body")?;
    let rotation = body.map(|body| serde_json::from_str(&body)).transpose();
    Ok(StoredRotation {
        revision: row.try_get("revision")?,
        rotation: rotation.map_err(|error| sqlx::Error::ColumnDecode {
            index: "rotation.body".to_owned(),
            source: Box::new(error),
        })?,
    })
}

/// One statement: the row's lock keeps others waiting until it is written.
async fn replace(
    connection: &mut AnyConnection,
    expected_revision: i64,
    next: Option<Rotation>,
) -> Result<Replaced, sqlx::Error> {
    let body = next.map(|next| serde_json::to_string(&next)).transpose();
    let body = body.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let stored = sqlx::query(
        "UPDATE rotation SET revision = revision + 1, body = $1 WHERE id = 1 AND revision = $2 \
         RETURNING revision, body",
    )
    .bind(body)
    .bind(expected_revision)
    .fetch_optional(&mut *connection)
    .await?;
    match stored {
        Some(row) => Ok(Replaced::Stored(read(&row)?)),
        None => Ok(Replaced::Changed(rotation(connection).await?)),
    }
}

/// The first with these tables.
const NEEDED_SCHEMA: i64 = 3;
