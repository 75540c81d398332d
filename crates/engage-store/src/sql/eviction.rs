//! Devices of which nothing is proven make room for new ones: those that were seen the longest ago
//! first, with all that is stored of them.

use std::sync::atomic::{AtomicU64, Ordering};

use engage_wire::LogThrottle;
use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use tracing::warn;

use super::statement::{pieces, statement, value_list};
use crate::{DeviceId, Subscriber};

/// What has been evicted since the start.
#[derive(Default)]
pub(super) struct Evictions {
    count: AtomicU64,
    log: LogThrottle,
}

/// A device that has made room.
pub(super) struct Evicted {
    /// Its name, as it stood there.
    device: String,
    last_seq: i64,
}

impl Evicted {
    pub(super) fn id(&self) -> Option<DeviceId> {
        self.device.parse().ok()
    }
}

impl Evictions {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, evicted: &[Evicted]) {
        for Evicted { device, last_seq } in evicted {
            self.count.fetch_add(1, Ordering::Relaxed);
            if let Some(others) = self.log.check() {
                warn!(
                    device,
                    events = last_seq,
                    others = others.count(),
                    "device {device}, of which nothing is proven, makes room for a new one: it is removed with its {last_seq} events{others}"
                );
            }
        }
    }
}

/// How many devices may go at `now`, of so many that are wanted.
pub(super) async fn evictable(
    connection: &mut AnyConnection,
    subscribers: &[Subscriber],
    now: Timestamp,
    wanted: usize,
) -> Result<usize, sqlx::Error> {
    let rows = statement(candidates(subscribers))
        .bind(unseen_since(now))
        .bind(limit(wanted))
        .fetch_all(connection)
        .await?;
    Ok(rows.len())
}

/// Removes so many devices with their events and refused bodies, within the transaction that is
/// begun; fewer where they have called meanwhile.
pub(super) async fn evict(
    connection: &mut AnyConnection,
    subscribers: &[Subscriber],
    now: Timestamp,
    wanted: usize,
) -> Result<Vec<Evicted>, sqlx::Error> {
    // First, so that its row is locked: who calls meanwhile begins anew behind this transaction.
    let rows = statement(format!(
        "DELETE FROM devices WHERE proven_at IS NULL AND last_seen < $1 AND device IN ({}) \
         RETURNING device, last_seq",
        candidates(subscribers)
    ))
    .bind(unseen_since(now))
    .bind(limit(wanted))
    .fetch_all(&mut *connection)
    .await?;
    let evicted = |row: &AnyRow| {
        Ok(Evicted {
            device: row.try_get("device")?,
            last_seq: row.try_get("last_seq")?,
        })
    };
    let evicted: Vec<_> = rows
        .iter()
        .map(evicted)
        .collect::<Result<_, sqlx::Error>>()?;
    for devices in pieces(&evicted, 1) {
        remove_rest(connection, devices).await?;
    }
    Ok(evicted)
}

/// What other tables hold. Names of batches stay: what was stored once is not stored again.
async fn remove_rest(
    connection: &mut AnyConnection,
    devices: &[Evicted],
) -> Result<(), sqlx::Error> {
    let list = value_list(devices.len());
    for change in [
        "DELETE FROM events WHERE",
        "DELETE FROM quarantine WHERE",
        "DELETE FROM configs WHERE",
        "DELETE FROM undelivered WHERE subscriber = 'webhook' AND",
        "DELETE FROM cursors WHERE subscriber = 'webhook' AND",
        // Of copies, which are removed next.
        "UPDATE cursors SET seq = 0, revision = -1, note = NULL WHERE",
    ] {
        let mut query = statement(format!("{change} device IN ({list})"));
        for Evicted { device, .. } in devices {
            query = query.bind(device.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Devices that may go, which were not seen since `$1`, at most `$2`: a few are looked at, along an
/// index. Not those whose events a subscriber has not taken, nor those for which somebody has set a
/// database.
fn candidates(subscribers: &[Subscriber]) -> String {
    let taken = subscribers.iter().map(|subscriber| {
        let subscriber = subscriber.as_str();
        format!(
            " AND last_seq <= coalesce((SELECT seq FROM cursors WHERE subscriber = '{subscriber}' \
             AND cursors.device = oldest.device), 0)"
        )
    });
    let taken: String = taken.collect();
    format!(
        "SELECT device FROM (SELECT device, last_seen, \
         sum(events) OVER (ORDER BY last_seen, device) - events AS events_before FROM \
         (SELECT device, last_seen, last_seq, CASE WHEN last_seq < {MAX_EVENTS} THEN last_seq ELSE {MAX_EVENTS} END AS events FROM devices \
         WHERE proven_at IS NULL AND last_seen < $1 ORDER BY last_seen, device LIMIT {MAX_LOOKED_AT}) AS oldest \
         WHERE NOT EXISTS (SELECT 1 FROM databases WHERE databases.device = oldest.device){taken}) AS evictable \
         WHERE events_before < {MAX_EVENTS} ORDER BY last_seen, device LIMIT $2"
    )
}

fn unseen_since(now: Timestamp) -> i64 {
    now.checked_sub(MIN_UNSEEN)
        .unwrap_or(Timestamp::MIN)
        .as_microsecond()
}

fn limit(wanted: usize) -> i64 {
    i64::try_from(wanted.min(MAX_EVICTED)).unwrap_or(1)
}

/// A lock calls every night.
const MIN_UNSEEN: SignedDuration = SignedDuration::from_hours(48);

/// Of one transaction, in which others wait.
const MAX_EVICTED: usize = 64;
const MAX_EVENTS: i64 = 10_000;
const MAX_LOOKED_AT: i64 = 256;

#[cfg(test)]
mod tests;
