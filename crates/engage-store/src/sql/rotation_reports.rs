//! What hosts say of a rotation.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};

use super::engine::{Engine, directory_of, now};
use crate::owner_lock::is_owned;
use crate::{HostRotation, RotationReport};

/// What an earlier process said that had the same file.
pub(super) async fn forget_reports(pool: &AnyPool) {
    // Else they count until this one says something.
    let _ = sqlx::query("DELETE FROM rotation_reports")
        .execute(pool)
        .await;
}

pub(super) async fn save_report(
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
pub(super) async fn reports(
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
