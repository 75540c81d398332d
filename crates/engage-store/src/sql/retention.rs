//! Events that are old enough are removed, by a clock that can be believed.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, AnyPool, Row};
use tracing::{info, warn};

use super::call_ins;
use crate::clock::ClockWatch;
use crate::{KeepDays, Subscriber};

/// Removes once a day what is too old.
pub(super) struct Retention {
    keep: KeepDays,
    clock: ClockWatch,
    applied: Option<Instant>,
}

impl Retention {
    pub(super) fn new(keep: KeepDays) -> Self {
        Self {
            keep,
            clock: ClockWatch::default(),
            applied: None,
        }
    }

    /// The first reading of all is taken down: what comes long after it has to prove itself.
    pub(super) async fn take_down_first(
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO moments (name, at) VALUES ('retention', $1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(now.as_microsecond())
        .execute(connection)
        .await
        .map(drop)
    }

    /// Whether it is time to [`apply`](Self::apply). Costs nothing when it is not; to be called often,
    /// so that the clock is watched.
    pub(super) async fn is_due(
        &mut self,
        monotonic: Instant,
        now: Timestamp,
        pool: &AnyPool,
    ) -> Result<bool, sqlx::Error> {
        let was_applied_lately = self
            .applied
            .is_some_and(|applied| monotonic.saturating_duration_since(applied) < CLEANUP_INTERVAL);
        // Looked at all the same.
        let believed = if was_applied_lately {
            None
        } else {
            believed(pool).await?
        };
        let is_plausible = self.clock.is_plausible(monotonic, now, believed);
        Ok(is_plausible && !was_applied_lately)
    }

    /// Not due again for a day.
    pub(super) fn set_applied(&mut self, monotonic: Instant) {
        self.applied = Some(monotonic);
    }

    pub(super) async fn apply(
        &self,
        now: Timestamp,
        pool: &AnyPool,
        subscribers: &[Subscriber],
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE moments SET at = $1 WHERE name = 'retention'")
            .bind(now.as_microsecond())
            .execute(pool)
            .await?;
        let kept = SignedDuration::from_hours(24 * i64::from(self.keep.days()));
        let Ok(oldest_kept) = now.checked_sub(kept) else {
            return Ok(());
        };
        let before = oldest_kept.as_microsecond();
        for subscriber in subscribers {
            warn_of_undelivered(pool, *subscriber, before).await?;
        }
        let events = remove_all(pool, REMOVE_EVENTS, before).await?;
        remove_all(pool, REMOVE_BATCHES, before).await?;
        remove_all(pool, REMOVE_APPENDED, before).await?;
        remove_all(pool, REMOVE_ADMIN_EVENTS, before).await?;
        call_ins::remove_old(pool, now).await?;
        if events > 0 {
            info!(events, "removed {events} events past retention");
        }
        Ok(())
    }
}

/// The reading at which it was applied last, by whichever host.
pub(super) async fn believed(pool: &AnyPool) -> Result<Option<Timestamp>, sqlx::Error> {
    let row = sqlx::query("SELECT at FROM moments WHERE name = 'retention'");
    let row = row.fetch_optional(pool).await?;
    let micros: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// Retention comes first: a receiver that everybody has forgotten must not fill the disk. But not
/// without a word.
async fn warn_of_undelivered(
    pool: &AnyPool,
    subscriber: Subscriber,
    before: i64,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(
        // Apart, or SQLite reads all events by device, to have them in groups.
        "WITH old AS MATERIALIZED (SELECT device, seq FROM events WHERE filed_at < $2) \
         SELECT old.device, count(*) FROM old \
         LEFT JOIN cursors c ON c.device = old.device AND c.subscriber = $1 \
         WHERE old.seq > coalesce(c.seq, 0) GROUP BY old.device",
    )
    .bind(subscriber.as_str())
    .bind(before)
    .fetch_all(pool)
    .await?;
    for row in rows {
        let (device, events): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        warn!(
            device,
            events,
            "{events} events of device {device} are removed without having been delivered: they are older than keep_audits_days and the receiver has not taken them"
        );
    }
    Ok(())
}

/// In small transactions: devices call meanwhile.
async fn remove_all(pool: &AnyPool, sql: &'static str, before: i64) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    loop {
        let outcome = sqlx::query(sql)
            .bind(before)
            .bind(CHUNK)
            .execute(pool)
            .await?;
        removed += outcome.rows_affected();
        if outcome.rows_affected() < CHUNK.unsigned_abs() {
            return Ok(removed);
        }
    }
}

const REMOVE_EVENTS: &str = "DELETE FROM events WHERE (device, seq) IN \
    (SELECT device, seq FROM events WHERE filed_at < $1 ORDER BY filed_at LIMIT $2)";

const REMOVE_BATCHES: &str = "DELETE FROM batches WHERE (batch, kind) IN \
    (SELECT batch, kind FROM batches WHERE filed_at < $1 ORDER BY filed_at LIMIT $2)";

const REMOVE_APPENDED: &str = "DELETE FROM appended WHERE number IN \
    (SELECT number FROM appended WHERE filed_at < $1 ORDER BY filed_at LIMIT $2)";

const REMOVE_ADMIN_EVENTS: &str = "DELETE FROM admin_events WHERE id IN \
    (SELECT id FROM admin_events WHERE at < $1 ORDER BY at LIMIT $2)";

const CHUNK: i64 = 2000;

const CLEANUP_INTERVAL: Duration = Duration::from_hours(24);
