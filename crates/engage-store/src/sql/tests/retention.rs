//! By a clock that is believed.

use super::*;
use crate::sql::retention::Retention;

/// Events that arrived on three days, and what is left of them.
struct Aged {
    options: SqlOptions,
    retention: Retention,
    start: Instant,
    pool: AnyPool,
}

impl Aged {
    async fn new(options: SqlOptions) -> Self {
        let store = SqlStore::open(options.clone(), KeepDays::default()).unwrap();
        for (code, moment) in [
            ("1", "2026-01-30T12:00:00Z"),
            ("2", "2026-02-01T12:00:00Z"),
            // The clock was wrong for a moment: it is as old as what came before it.
            ("3", "2000-01-01T00:00:00Z"),
        ] {
            let call = Call {
                received_at: moment.parse().unwrap(),
                ..call(1)
            };
            store.append_audits(&call, batch(code)).await.unwrap();
        }
        drop(store);
        let pool = other_pool(&options);
        Self {
            options,
            retention: Retention::new(KeepDays::new(30).unwrap()),
            start: Instant::now(),
            pool,
        }
    }

    async fn believe(&self, moment: &str) {
        let moment: Timestamp = moment.parse().unwrap();
        sqlx::query("UPDATE moments SET at = $1 WHERE name = 'retention'")
            .bind(moment.as_microsecond())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// How many are left after the clock said `now`, `hours` after the start.
    async fn left(&mut self, hours: u64, now: &str) -> i64 {
        let monotonic = self.start + Duration::from_hours(hours);
        let (now, webhook) = (now.parse().unwrap(), [Subscriber::Webhook]);
        let due = self.retention.is_due(monotonic, now, &self.pool);
        if due.await.unwrap() {
            let applied = self.retention.apply(now, &self.pool, &webhook);
            applied.await.unwrap();
            self.retention.set_applied(monotonic);
        }
        let count = self.pool.fetch_one("SELECT count(*) FROM events").await;
        count.unwrap().get(0)
    }
}

async fn an_event_goes_when_it_is_too_old_by_a_clock_that_is_believed(options: SqlOptions) {
    let mut aged = Aged::new(options).await;
    aged.believe("2026-02-20T00:00:00Z").await;
    assert_eq!(aged.left(0, "2026-03-01T00:00:00Z").await, 3);
    // Thirty days before is 2026-01-30 06:00.
    assert_eq!(aged.left(6, "2026-03-01T06:00:00Z").await, 3);
    assert_eq!(aged.left(36, "2026-03-02T12:00:00Z").await, 2);
    // A clock that jumps ahead removes nothing, nor one that is a year ahead from the start.
    assert_eq!(aged.left(72, "2027-03-05T00:00:00Z").await, 2);
    aged.retention = Retention::new(KeepDays::new(30).unwrap());
    let start: Timestamp = "2027-03-05T00:00:00Z".parse().unwrap();
    for hours in [0, 2, 30] {
        let now = start + SignedDuration::from_hours(hours);
        let left = aged.left(hours.unsigned_abs(), &now.to_string()).await;
        assert_eq!(left, 2);
    }
    let left = aged.left(7 * 24, "2027-03-12T00:00:00Z").await;
    assert_eq!(left, 0);
    // The batches are forgotten with their events, but for the last, which may be delivered again.
    let store = SqlStore::open(aged.options.clone(), KeepDays::default()).unwrap();
    let again = store.append_audits(&call(1), batch("1")).await;
    assert_eq!(again.unwrap(), AppendOutcome::Updated);
    assert_eq!(codes(&store, 1).await, ["00000001"]);
}

#[tokio::test]
async fn retention_on_sqlite() {
    let sqlite = Sqlite::new();
    an_event_goes_when_it_is_too_old_by_a_clock_that_is_believed(sqlite.options()).await;
}

#[tokio::test]
async fn retention_on_postgresql() {
    let Some(server) = postgres() else { return };
    let options = SqlOptions {
        url: server.create_database().url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    an_event_goes_when_it_is_too_old_by_a_clock_that_is_believed(options).await;
}
