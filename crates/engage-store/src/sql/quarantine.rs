//! Bodies that were refused, within bounds.

use parking_lot::Mutex;
use sqlx::{AnyConnection, Row};
use tracing::{debug, warn};

use super::devices;
use crate::quarantine::{MAX_BODIES, MAX_BODIES_EACH, surplus};
use crate::quota::DeviceQuota;
use crate::{Call, UploadKind};

/// Keeps a body, and drops the oldest ones of the same device, or of the one that has most, where
/// there are too many.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    call: &Call,
    kind: UploadKind,
    body: &[u8],
) -> Result<(), sqlx::Error> {
    // Several in one microsecond are one.
    sqlx::query(
        "INSERT INTO quarantine (device, received_at, kind, size, body) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (device, received_at, kind) DO UPDATE SET size = excluded.size, body = excluded.body",
    )
    .bind(call.device.to_string())
    .bind(call.received_at.as_microsecond())
    .bind(kind.as_str())
    .bind(i64::try_from(body.len()).unwrap_or(i64::MAX))
    .bind(body.to_vec())
    .execute(&mut *connection)
    .await?;
    let mut bodies = bodies(connection).await?;
    let share = |body: &Body| (body.device.clone(), body.size);
    loop {
        let shares: Vec<_> = bodies.iter().map(share).collect();
        let shares: Vec<_> = shares
            .iter()
            .map(|(device, size)| (&device[..], *size))
            .collect();
        let Some(at) = surplus(&shares) else {
            return Ok(());
        };
        remove(connection, &bodies.remove(at)).await?;
    }
}

/// Who delivered something is known from then on, if there is room.
pub(super) async fn make_known(
    connection: &mut AnyConnection,
    quota: &Mutex<DeviceQuota>,
    call: &Call,
) -> Result<(), sqlx::Error> {
    let device = call.device;
    let mut refused = devices::refused(connection, quota, &[*call]).await?;
    if let Some(error) = refused.remove(&device) {
        debug!(%device, %error, "no record of device {device} is begun");
        return Ok(());
    }
    let seen = [(device, call.received_at)].into();
    devices::lock(connection, &seen).await.map(drop)
}

struct Body {
    device: String,
    received_at: i64,
    kind: String,
    size: u64,
}

/// Oldest first.
async fn bodies(connection: &mut AnyConnection) -> Result<Vec<Body>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT device, received_at, kind, size FROM quarantine ORDER BY received_at, device, kind",
    );
    let rows = rows.fetch_all(connection).await?;
    let body = |row: &sqlx::any::AnyRow| {
        Ok(Body {
            device: row.try_get("device")?,
            received_at: row.try_get("received_at")?,
            kind: row.try_get("kind")?,
            size: u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0),
        })
    };
    rows.iter().map(body).collect()
}

async fn remove(connection: &mut AnyConnection, body: &Body) -> Result<(), sqlx::Error> {
    let device = &body.device;
    sqlx::query("DELETE FROM quarantine WHERE device = $1 AND received_at = $2 AND kind = $3")
        .bind(device.clone())
        .bind(body.received_at)
        .bind(body.kind.clone())
        .execute(connection)
        .await?;
    warn!(
        device,
        "quarantine is full: dropped the oldest body of device {device}; of each device {MAX_BODIES_EACH} bodies are kept, {MAX_BODIES} in all"
    );
    Ok(())
}
