//! Devices of which nothing is proven make room for new ones: those that were seen the longest ago
//! first, with all that is stored of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use engage_wire::LogThrottle;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use tracing::warn;

use super::statement::{pieces, statement, value_list};
use crate::clock::{ALL_HAVE_CALLED_AFTER, UnseenClock};
use crate::{DeviceId, Subscriber};

/// What has been evicted since the start.
#[derive(Default)]
pub(super) struct Evictions {
    count: AtomicU64,
    log: LogThrottle,
    /// Where to look next: no device before it may go, as far as was seen.
    looked_up_to: Mutex<Key>,
    clock: Mutex<UnseenClock>,
}

/// Where a device stands in the index of those that are unproven; first of all, before all of them.
#[derive(Clone, Default, Eq, PartialEq)]
struct Key {
    last_seen: i64,
    device: String,
}

/// What a look along the index finds.
struct Looked {
    may_go: Vec<Evicted>,
    /// The last at which it looked, where there are more behind.
    next: Option<Key>,
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

    /// The host has begun; the clock was believed last at `believed`.
    pub(super) fn begin(&self, believed: Timestamp) {
        let mut clock = self.clock.lock();
        clock.begin(Instant::now(), Timestamp::now(), believed);
    }

    /// To be called often.
    pub(super) fn watch_clock(&self) -> SignedDuration {
        let mut clock = self.clock.lock();
        clock.ahead(Instant::now(), Timestamp::now())
    }

    /// Who was not seen since then may go, for who calls at `now`.
    fn unseen_since(&self, now: Timestamp) -> i64 {
        let unseen = self.watch_clock().saturating_add(MIN_UNSEEN);
        let since = now.checked_sub(unseen).unwrap_or(Timestamp::MIN);
        since.as_microsecond()
    }

    /// How many devices may go at `now`, of so many that are wanted.
    pub(super) async fn evictable(
        &self,
        connection: &mut AnyConnection,
        subscribers: &[Subscriber],
        now: Timestamp,
        wanted: usize,
    ) -> Result<usize, sqlx::Error> {
        let unseen_since = self.unseen_since(now);
        let found = self.find(connection, subscribers, unseen_since, wanted);
        Ok(found.await?.len())
    }

    /// Removes so many devices with their events and refused bodies, within the transaction that is
    /// begun; fewer where they have called meanwhile.
    pub(super) async fn evict(
        &self,
        connection: &mut AnyConnection,
        subscribers: &[Subscriber],
        now: Timestamp,
        wanted: usize,
    ) -> Result<Vec<Evicted>, sqlx::Error> {
        let unseen_since = self.unseen_since(now);
        let found = self.find(connection, subscribers, unseen_since, wanted);
        let found = found.await?;
        let mut evicted = Vec::with_capacity(found.len());
        for devices in pieces(&found, 1) {
            // First, so that its row is locked: who calls meanwhile begins anew behind this
            // transaction.
            let removed = remove(connection, devices, unseen_since).await?;
            for removed in pieces(&removed, 1) {
                remove_rest(connection, removed).await?;
            }
            evicted.extend(removed);
        }
        Ok(evicted)
    }

    /// Looks from where the last look found none, a bounded number of steps, and from the beginning
    /// again behind the end: those that may not go do not hide those behind them.
    async fn find(
        &self,
        connection: &mut AnyConnection,
        subscribers: &[Subscriber],
        unseen_since: i64,
        wanted: usize,
    ) -> Result<Vec<Evicted>, sqlx::Error> {
        let wanted = wanted.min(MAX_EVICTED);
        let mut found: Vec<Evicted> = Vec::new();
        let mut from = self.looked_up_to.lock().clone();
        for _ in 0..MAX_LOOKS {
            let Looked { may_go, next } =
                look(connection, subscribers, unseen_since, &from).await?;
            found.extend(may_go);
            let is_whole = from == Key::default();
            let is_end = next.is_none();
            from = next.unwrap_or_default();
            if found.is_empty() {
                *self.looked_up_to.lock() = from.clone();
            }
            if found.len() >= wanted || is_end && (is_whole || !found.is_empty()) {
                break;
            }
        }
        let mut events = 0;
        let fits = |it: &Evicted| {
            let is_below = events < MAX_EVENTS;
            events += it.last_seq.min(MAX_EVENTS);
            is_below
        };
        Ok(found.into_iter().take(wanted).take_while(fits).collect())
    }
}

/// Of `MAX_LOOKED_AT` devices behind one, those that may go: not those whose events a subscriber has
/// not taken, nor those for which somebody has set a database.
async fn look(
    connection: &mut AnyConnection,
    subscribers: &[Subscriber],
    unseen_since: i64,
    from: &Key,
) -> Result<Looked, sqlx::Error> {
    let taken = subscribers.iter().map(|subscriber| {
        let subscriber = subscriber.as_str();
        format!(
            " AND last_seq <= coalesce((SELECT seq FROM cursors WHERE subscriber = '{subscriber}' \
             AND cursors.device = devices.device), 0)"
        )
    });
    let taken: String = taken.collect();
    let rows = statement(format!(
        "SELECT device, last_seen, last_seq, CASE WHEN \
         NOT EXISTS (SELECT 1 FROM databases WHERE databases.device = devices.device){taken} \
         THEN 1 ELSE 0 END AS may_go FROM devices \
         WHERE proven_at IS NULL AND last_seen < $1 AND (last_seen, device) > ($2, $3) \
         ORDER BY last_seen, device LIMIT {MAX_LOOKED_AT}"
    ))
    .bind(unseen_since)
    .bind(from.last_seen)
    .bind(from.device.clone())
    .fetch_all(connection)
    .await?;
    let mut looked = Looked {
        may_go: Vec::new(),
        next: None,
    };
    for row in &rows {
        if row.try_get::<i64, _>("may_go")? == 1 {
            looked.may_go.push(evicted(row)?);
        }
    }
    if let Some(last) = rows.get(MAX_LOOKED_AT - 1) {
        looked.next = Some(Key {
            last_seen: last.try_get("last_seen")?,
            device: last.try_get("device")?,
        });
    }
    Ok(looked)
}

/// Those of the devices that have not called meanwhile.
async fn remove(
    connection: &mut AnyConnection,
    devices: &[Evicted],
    unseen_since: i64,
) -> Result<Vec<Evicted>, sqlx::Error> {
    let list = value_list(devices.len());
    let unseen_since_at = devices.len() + 1;
    let mut query = statement(format!(
        "DELETE FROM devices WHERE device IN ({list}) AND proven_at IS NULL \
         AND last_seen < ${unseen_since_at} RETURNING device, last_seq"
    ));
    for Evicted { device, .. } in devices {
        query = query.bind(device.clone());
    }
    let query = query.bind(unseen_since);
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(evicted).collect()
}

fn evicted(row: &AnyRow) -> Result<Evicted, sqlx::Error> {
    Ok(Evicted {
        device: row.try_get("device")?,
        last_seq: row.try_get("last_seq")?,
    })
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
        "DELETE FROM adoption WHERE",
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

const MIN_UNSEEN: SignedDuration =
    SignedDuration::from_secs(ALL_HAVE_CALLED_AFTER.as_secs().cast_signed());

/// Of one transaction, in which others wait.
const MAX_EVICTED: usize = 64;
const MAX_EVENTS: i64 = 10_000;

/// Devices in one step, and steps for one newcomer.
const MAX_LOOKED_AT: usize = 256;
const MAX_LOOKS: usize = 8;

#[cfg(test)]
mod tests;
