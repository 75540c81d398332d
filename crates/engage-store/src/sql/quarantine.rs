//! Bodies that were refused, within bounds.

use std::io;
use std::sync::LazyLock;

use engage_wire::LogThrottle;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use tracing::{debug, warn};

use super::eviction::Evicted;
use super::reader::StoreReader;
use super::shared::Shared;
use super::{admission, devices};
use crate::quota::{Admitted, Newcomer};
use crate::{Call, DeviceId, UploadKind};

/// A body that was refused, without its bytes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QuarantinedBody {
    /// Who sent it.
    pub device: DeviceId,
    /// When it arrived, by the host's clock.
    pub received_at: Timestamp,
    /// As what it was sent.
    pub kind: UploadKind,
    /// Its length in bytes.
    pub size_bytes: u64,
}

impl StoreReader {
    /// All bodies in quarantine, of all devices, oldest first.
    pub fn quarantined_bodies(&self) -> io::Result<Vec<QuarantinedBody>> {
        self.read(async |connection| {
            let list = "SELECT device, received_at, kind, size FROM quarantine ORDER BY received_at, device, kind";
            let rows = sqlx::query(list).fetch_all(connection).await?;
            rows.iter().map(read).collect()
        })
    }

    /// A body as it arrived: the one of that moment, or the device's newest.
    pub fn quarantined_body(
        &self,
        device: DeviceId,
        received_at: Option<Timestamp>,
    ) -> io::Result<Option<Vec<u8>>> {
        let (from, to) = match received_at.map(Timestamp::as_microsecond) {
            Some(at) => (at, at),
            None => (i64::MIN, i64::MAX),
        };
        self.read(async |connection| {
            let row = sqlx::query(
                "SELECT body FROM quarantine WHERE device = $1 AND received_at BETWEEN $2 AND $3 \
                 ORDER BY received_at DESC LIMIT 1",
            )
            .bind(device.to_string())
            .bind(from)
            .bind(to)
            .fetch_optional(connection)
            .await?;
            row.map(|row| row.try_get("body")).transpose()
        })
    }
}

fn read(row: &AnyRow) -> Result<QuarantinedBody, sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    Ok(QuarantinedBody {
        device: devices::device(row, "device")?,
        received_at: devices::moment(row, "received_at")?.unwrap_or_default(),
        kind: UploadKind::parse(&kind).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: "kind".into(),
            source: kind.into(),
        })?,
        size_bytes: size(row)?,
    })
}

/// Bodies that were dropped, as far as they have been logged.
static DROPPED: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// How much is kept.
pub(super) struct QuarantineLimits {
    each: Amount,
    all: Amount,
}

#[derive(Clone, Copy, Default)]
struct Amount {
    bodies: usize,
    bytes: u64,
}

impl Amount {
    fn exceeds(self, limit: Self) -> bool {
        // A single one is kept, however long.
        self.bodies > 1 && (self.bodies > limit.bodies || self.bytes > limit.bytes)
    }
}

/// Keeps a body, and drops the oldest ones of the same device, or of those that have most, where
/// there are too many: first of those of which nothing is proven.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    limits: &QuarantineLimits,
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
    drop_surplus_of_device(connection, limits, call.device).await?;
    drop_surplus(connection, limits).await
}

async fn drop_surplus_of_device(
    connection: &mut AnyConnection,
    limits: &QuarantineLimits,
    device: DeviceId,
) -> Result<(), sqlx::Error> {
    let newest_first =
        "SELECT received_at, size FROM quarantine WHERE device = $1 ORDER BY received_at DESC";
    let rows = sqlx::query(newest_first)
        .bind(device.to_string())
        .fetch_all(&mut *connection)
        .await?;
    let mut amount = Amount::default();
    for row in rows {
        amount.bodies += 1;
        amount.bytes += size(&row)?;
        if amount.exceeds(limits.each) {
            let received_at = row.try_get("received_at")?;
            remove(connection, limits, &device.to_string(), received_at).await?;
        }
    }
    Ok(())
}

/// Nearly always it reads two sums, from an index.
async fn drop_surplus(
    connection: &mut AnyConnection,
    limits: &QuarantineLimits,
) -> Result<(), sqlx::Error> {
    let sums = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) AS size FROM quarantine";
    let row = sqlx::query(sums).fetch_one(&mut *connection).await?;
    let mut amount = Amount {
        bodies: usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX),
        bytes: size(&row)?,
    };
    while amount.exceeds(limits.all) {
        let oldest = oldest_of_those_with_most(connection).await?;
        if oldest.is_empty() {
            break;
        }
        for (device, received_at) in oldest {
            if amount.exceeds(limits.all) {
                let removed = remove(connection, limits, &device, received_at).await?;
                amount.bodies = amount.bodies.saturating_sub(removed.bodies);
                amount.bytes = amount.bytes.saturating_sub(removed.bytes);
            }
        }
    }
    Ok(())
}

/// Devices that have more bodies than all others, of those of which nothing is proven if they have
/// any; each with the moment of its oldest.
async fn oldest_of_those_with_most(
    connection: &mut AnyConnection,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT q.device, min(q.received_at) AS received_at, count(*) AS bodies, \
         CASE WHEN d.proven_at IS NULL THEN 0 ELSE 1 END AS proven \
         FROM quarantine q LEFT JOIN devices d ON d.device = q.device \
         GROUP BY q.device, d.proven_at ORDER BY proven, bodies DESC, received_at LIMIT 64",
    );
    let rows = rows.fetch_all(connection).await?;
    let (mut oldest, mut first) = (Vec::new(), None);
    for row in rows {
        let rank: (i64, i64) = (row.try_get("proven")?, row.try_get("bodies")?);
        if *first.get_or_insert(rank) == rank {
            oldest.push((row.try_get("device")?, row.try_get("received_at")?));
        }
    }
    Ok(oldest)
}

async fn remove(
    connection: &mut AnyConnection,
    limits: &QuarantineLimits,
    device: &str,
    received_at: i64,
) -> Result<Amount, sqlx::Error> {
    let delete = "DELETE FROM quarantine WHERE device = $1 AND received_at = $2 RETURNING size";
    let rows = sqlx::query(delete)
        .bind(device.to_owned())
        .bind(received_at)
        .fetch_all(connection)
        .await?;
    if let Some(others) = DROPPED.check() {
        warn!(
            device,
            others = others.count(),
            "quarantine is full: dropped the oldest body of device {device}; of each device {} bodies are kept, {} in all{others}",
            limits.each.bodies,
            limits.all.bodies
        );
    }
    let mut removed = Amount::default();
    for row in &rows {
        removed.bodies += 1;
        removed.bytes += size(row)?;
    }
    Ok(removed)
}

fn size(row: &AnyRow) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0))
}

/// Who delivered something is known from then on, if there is room.
pub(super) async fn make_known(
    connection: &mut AnyConnection,
    shared: &Shared,
    call: &Call,
) -> Result<(Admitted, Vec<Evicted>), sqlx::Error> {
    let device = call.device;
    let new = Newcomer {
        call: *call,
        is_proven: false,
    };
    let callers = [(device, new)].into();
    let (admitted, mut refused) = admission::admit(connection, shared, callers).await?;
    if let Some(error) = refused.remove(&device) {
        debug!(%device, %error, "no record of device {device} is begun");
    } else {
        let seen = [(device, call.received_at)].into();
        devices::lock(connection, &seen).await?;
    }
    let displacing = admitted.displacing(&[device].into());
    let evicted = shared.evict(connection, &displacing).await?;
    Ok((admitted, evicted))
}

/// Of each device, a week of nights in which it sends one of each kind that cannot be read.
pub(super) const LIMITS: QuarantineLimits = QuarantineLimits {
    each: Amount {
        bodies: 16,
        bytes: 64 * 1024 * 1024,
    },
    all: Amount {
        bodies: 4096,
        bytes: 512 * 1024 * 1024,
    },
};

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use sqlx::AnyPool;

    use super::super::connect::pool;
    use super::super::engine::Engine;
    use super::*;
    use crate::conformance::postgres::{PostgresServer, postgres};
    use crate::{KeepDays, SqlOptions, SqlStore};

    const SMALL: QuarantineLimits = QuarantineLimits {
        each: Amount {
            bodies: 3,
            bytes: 20,
        },
        all: Amount {
            bodies: 6,
            bytes: 40,
        },
    };

    /// The number of one device.
    const PROVEN: u8 = 3;

    /// Device and size in bytes, oldest first.
    type Bodies = Vec<(u8, usize)>;

    /// What is kept of `bodies`, one after the other.
    fn expected(bodies: &[(u8, usize)]) -> Bodies {
        let mut kept = Bodies::new();
        for body in bodies {
            kept.push(*body);
            while exceeds(&kept, SMALL.each, |it| it.0 == body.0) {
                let oldest = kept.iter().position(|it| it.0 == body.0);
                kept.remove(oldest.unwrap());
            }
            while exceeds(&kept, SMALL.all, |_| true) {
                // Those of the proven device come last.
                let rank = |device: u8| {
                    let bodies = kept.iter().filter(|it| it.0 == device).count();
                    (device != PROVEN, bodies)
                };
                let first = kept.iter().map(|it| rank(it.0)).max().unwrap();
                let oldest = kept.iter().position(|it| rank(it.0) == first);
                kept.remove(oldest.unwrap());
            }
        }
        kept
    }

    fn exceeds(bodies: &Bodies, limit: Amount, counts: impl Fn(&(u8, usize)) -> bool) -> bool {
        let counted = bodies.iter().filter(|it| counts(it));
        let amount = Amount {
            bodies: counted.clone().count(),
            bytes: counted.map(|it| it.1 as u64).sum(),
        };
        amount.exceeds(limit)
    }

    /// What the database keeps; rolled back.
    async fn found(pool: &AnyPool, bodies: &[(u8, usize)]) -> Bodies {
        let mut transaction = pool.begin().await.unwrap();
        let proven = "INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen, proven_at) \
             VALUES ($1, 1, 0, 0, 0, 0, 0)";
        let proven = sqlx::query(proven).bind(format!("{PROVEN:016X}"));
        proven.execute(&mut *transaction).await.unwrap();
        for ((number, size), second) in bodies.iter().zip(0..) {
            let call = Call {
                device: format!("{number:016X}").parse().unwrap(),
                peer: "10.44.0.7".parse().unwrap(),
                is_authenticated: false,
                is_listed: false,
                received_at: Timestamp::from_second(second).unwrap(),
            };
            let body = vec![0; *size];
            let kept = keep(&mut transaction, &SMALL, &call, UploadKind::Audit, &body);
            kept.await.unwrap();
        }
        let rows = sqlx::query("SELECT device, size FROM quarantine ORDER BY received_at");
        let rows = rows.fetch_all(&mut *transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        let number = |row: &AnyRow| {
            let device: String = row.get("device");
            u8::from_str_radix(&device, 16).unwrap()
        };
        let size = |row| usize::try_from(size(row).unwrap()).unwrap();
        rows.iter().map(|row| (number(row), size(row))).collect()
    }

    #[test]
    fn what_is_too_much_goes_from_the_device_or_from_those_that_have_most_and_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("engage-host.db");
        let databases = postgres().map(PostgresServer::create_database);
        let urls = databases.iter().map(|it| it.url().parse().unwrap());
        for url in urls.chain([crate::DatabaseUrl::Sqlite(file)]) {
            let options = SqlOptions {
                url,
                ..SqlOptions::sqlite(PathBuf::new())
            };
            drop(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            let pool = runtime.block_on(async {
                let settings = Engine::new(&options.url).settings();
                pool(options.connect_options(true).unwrap(), settings, 1)
            });
            let bodies = prop::collection::vec((0..4_u8, 0..25_usize), 0..20);
            let mut runner = TestRunner::new(Config::with_cases(48));
            let outcome = runner.run(&bodies, |bodies| {
                let found = runtime.block_on(found(&pool, &bodies));
                prop_assert_eq!(found, expected(&bodies));
                Ok(())
            });
            outcome.unwrap();
        }
    }
}
