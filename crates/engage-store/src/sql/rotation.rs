//! Where a rotation stands, and what each host makes of it.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};

use super::connect::{Engine, directory_of, now};
use super::reader::StoreReader;
use super::store::SqlStore;
use super::store_writer::StoreWriter;
use super::{adoption, error};
use crate::owner_lock::is_owned;
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

/// What an earlier process said that had the same file.
pub(super) async fn forget_reports(pool: &AnyPool) {
    // Else they count until this one says something.
    let _ = sqlx::query("DELETE FROM rotation_reports")
        .execute(pool)
        .await;
}

async fn save_report(
    connection: &mut AnyConnection,
    host: &str,
    report: &RotationReport,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO rotation_reports (host, name, revision, is_swapped, refusal, reported_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host) DO UPDATE SET name = excluded.name, \
         revision = excluded.revision, is_swapped = excluded.is_swapped, \
         refusal = excluded.refusal, reported_at = excluded.reported_at",
    )
    .bind(host)
    .bind(host_name())
    .bind(report.revision)
    .bind(i64::from(report.is_swapped))
    .bind(
        report
            .refusal
            .as_deref()
            .map(|it| it.replace('\0', "\u{fffd}")),
    )
    .bind(Timestamp::now().as_microsecond())
    .execute(connection)
    .await
    .map(drop)
}

/// Of hosts that share a server the living are known; a SQLite file has at most one.
async fn reports(
    connection: &mut AnyConnection,
    engine: &Engine,
) -> Result<Vec<HostRotation>, sqlx::Error> {
    let rows = match engine {
        Engine::Postgres { .. } => {
            let living = sqlx::query(concat!(
                "SELECT hosts.host, name, revision, is_swapped, refusal, reported_at FROM hosts \
                 LEFT JOIN rotation_reports ON rotation_reports.host = hosts.host \
                 WHERE alive_until > ",
                now!(),
                " ORDER BY name, hosts.host"
            ));
            living.fetch_all(connection).await?
        }
        Engine::Sqlite { file } if is_owned(directory_of(file)) => {
            let only = sqlx::query(
                "SELECT host, name, revision, is_swapped, refusal, reported_at FROM (SELECT 1 AS one) AS this \
                 LEFT JOIN rotation_reports ON one = 1",
            );
            only.fetch_all(connection).await?
        }
        Engine::Sqlite { .. } => return Ok(Vec::new()),
    };
    rows.iter().map(host_rotation).collect()
}

fn host_rotation(row: &AnyRow) -> Result<HostRotation, sqlx::Error> {
    let revision: Option<i64> = row.try_get("revision")?;
    let name: Option<String> = row.try_get("name")?;
    let report = revision.map(|revision| {
        Ok::<_, sqlx::Error>(RotationReport {
            revision,
            is_swapped: row.try_get::<i64, _>("is_swapped")? != 0,
            refusal: row.try_get("refusal")?,
        })
    });
    let reported_at: Option<i64> = row.try_get("reported_at")?;
    Ok(HostRotation {
        name: match name {
            Some(name) => name,
            None => row
                .try_get::<Option<String>, _>("host")?
                .unwrap_or_else(|| "this host".to_owned()),
        },
        report: report.transpose()?,
        reported_at: reported_at.and_then(|it| Timestamp::from_microsecond(it).ok()),
    })
}

/// Several may run on one computer.
fn host_name() -> String {
    let name = gethostname::gethostname();
    format!("{} (process {})", name.display(), std::process::id())
}

/// The first with these tables.
const NEEDED_SCHEMA: i64 = 3;
