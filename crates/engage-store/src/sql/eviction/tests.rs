//! Who goes, and who does not.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::AnyPool;

use super::super::tests::with_each_engine;
use super::*;

#[derive(Clone, Debug)]
struct Stored {
    unseen_hours: i64,
    is_proven: bool,
    events: i64,
    is_delivered: bool,
    has_database: bool,
}

fn stored() -> impl Strategy<Value = Stored> {
    let yes_or_no = any::<(bool, bool)>();
    (40..60_i64, 0..3_i64, yes_or_no, 0..4_u8).prop_map(
        |(unseen_hours, events, (is_proven, is_delivered), database)| Stored {
            unseen_hours,
            is_proven,
            events,
            is_delivered,
            has_database: database == 0,
        },
    )
}

/// Somebody has set a database for it.
const PINNED: Stored = Stored {
    has_database: true,
    ..FREE
};

const FREE: Stored = Stored {
    unseen_hours: 60,
    is_proven: false,
    events: 0,
    is_delivered: false,
    has_database: false,
};

const NOW: Timestamp = Timestamp::constant(1_764_000_000, 0);

fn name(number: usize) -> String {
    format!("{number:016X}")
}

/// Numbers, seen longest ago first.
fn expected(devices: &[Stored], wanted: usize, has_subscriber: bool) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..devices.len()).collect();
    numbers.retain(|number| {
        let it = &devices[*number];
        let is_taken = !has_subscriber || it.is_delivered || it.events == 0;
        !it.is_proven && it.unseen_hours > 48 && is_taken && !it.has_database
    });
    numbers.sort_by_key(|number| (-devices[*number].unseen_hours, *number));
    numbers.truncate(wanted);
    numbers
}

async fn insert(connection: &mut AnyConnection, devices: &[Stored]) {
    for (number, it) in devices.iter().enumerate() {
        let seen = NOW - SignedDuration::from_hours(it.unseen_hours);
        sqlx::query(
            "INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen, proven_at) \
             VALUES ($1, 1, $2, 0, 0, $3, $4)",
        )
        .bind(name(number))
        .bind(it.events)
        .bind(seen.as_microsecond())
        .bind(it.is_proven.then_some(0_i64))
        .execute(&mut *connection)
        .await
        .unwrap();
        let mut rows = Vec::new();
        for seq in 1..=it.events {
            rows.push(format!(
                "INSERT INTO events (device, seq, kind, received_at, filed_at, body) VALUES ($1, {seq}, 'audits', 0, 0, '')"
            ));
        }
        if it.is_delivered {
            let seq = it.events;
            rows.push(format!(
                "INSERT INTO cursors (subscriber, device, seq) VALUES ('webhook', $1, {seq})"
            ));
        }
        if it.has_database {
            rows.push(
                "INSERT INTO databases (device, taken_at, version, body) VALUES ($1, 0, '', '')"
                    .into(),
            );
        }
        for row in rows {
            let row = statement(row).bind(name(number));
            row.execute(&mut *connection).await.unwrap();
        }
    }
}

async fn names(connection: &mut AnyConnection, select: &'static str) -> Vec<String> {
    let rows = sqlx::query(select).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many could go, who went, whose rows and whose events are left; rolled back.
async fn found(
    pool: &AnyPool,
    devices: &[Stored],
    wanted: usize,
    subscribers: &[Subscriber],
) -> (usize, Vec<String>, Vec<String>, Vec<String>) {
    let mut transaction = pool.begin().await.unwrap();
    insert(&mut transaction, devices).await;
    let evictions = Evictions::default();
    let count = evictions.evictable(&mut transaction, subscribers, NOW, wanted);
    let count = count.await;
    let evicted = evictions.evict(&mut transaction, subscribers, NOW, wanted);
    let evicted = evicted.await;
    let mut evicted: Vec<_> = evicted.unwrap().into_iter().map(|it| it.device).collect();
    evicted.sort();
    let known = names(&mut transaction, "SELECT device FROM devices ORDER BY 1").await;
    let events = "SELECT DISTINCT device FROM events ORDER BY 1";
    let events = names(&mut transaction, events).await;
    transaction.rollback().await.unwrap();
    (count.unwrap(), evicted, known, events)
}

#[test]
fn who_may_go_goes_with_all_events_seen_longest_ago_first_and_nobody_else() {
    with_each_engine(|runtime, pool| {
        let cases = (
            prop::collection::vec(stored(), 0..12),
            1..6_usize,
            any::<bool>(),
        );
        let mut runner = TestRunner::new(Config::with_cases(48));
        let outcome = runner.run(&cases, |(devices, wanted, has_subscriber)| {
            let subscribers = if has_subscriber {
                &[Subscriber::Webhook][..]
            } else {
                &[]
            };
            let (count, evicted, known, events) =
                runtime.block_on(found(pool, &devices, wanted, subscribers));
            let gone = expected(&devices, wanted, has_subscriber);
            prop_assert_eq!(count, gone.len());
            let left = (0..devices.len()).filter(|number| !gone.contains(number));
            let left: Vec<_> = left.collect();
            let with_events = left.iter().filter(|number| devices[**number].events > 0);
            let with_events: Vec<_> = with_events.map(|number| name(*number)).collect();
            let mut gone: Vec<_> = gone.into_iter().map(name).collect();
            gone.sort();
            prop_assert_eq!(evicted, gone);
            prop_assert_eq!(known, left.into_iter().map(name).collect::<Vec<_>>());
            prop_assert_eq!(events, with_events);
            Ok(())
        });
        outcome.unwrap();
    });
}

#[test]
fn three_hundred_that_may_not_go_do_not_keep_the_next_one() {
    with_each_engine(|runtime, pool| {
        let mut devices = vec![PINNED; 300];
        devices.push(FREE);
        let (count, evicted, ..) = runtime.block_on(found(pool, &devices, 1, &[]));
        assert_eq!((count, evicted), (1, vec![name(300)]));
    });
}

#[test]
fn a_look_is_bounded_and_the_next_goes_on_behind_it_and_from_the_beginning_behind_the_end() {
    with_each_engine(|runtime, pool| {
        runtime.block_on(async {
            let mut transaction = pool.begin().await.unwrap();
            let pinned = MAX_LOOKS * MAX_LOOKED_AT;
            let mut devices = vec![PINNED; pinned];
            devices.push(FREE);
            insert(&mut transaction, &devices).await;
            let evictions = Evictions::default();
            for evictable in [0, 1, 1] {
                let found = evictions.evictable(&mut transaction, &[], NOW, 2).await;
                assert_eq!(found.unwrap(), evictable);
            }
            let evicted = evictions.evict(&mut transaction, &[], NOW, 2).await;
            assert_eq!(evicted.unwrap().len(), 1);
            let unpin = statement("DELETE FROM databases WHERE device = $1".into());
            let unpin = unpin.bind(name(7));
            unpin.execute(&mut *transaction).await.unwrap();
            let evicted = evictions.evict(&mut transaction, &[], NOW, 2).await;
            assert_eq!(evicted.unwrap()[0].device, name(7));
        });
    });
}

#[test]
fn a_clock_that_is_set_forwards_or_was_off_for_days_lets_nobody_go_who_could_not_call() {
    with_each_engine(|runtime, pool| {
        runtime.block_on(async {
            let mut transaction = pool.begin().await.unwrap();
            insert(&mut transaction, &[FREE]).await;
            let evictions = Evictions::default();
            let believed = Timestamp::now() - SignedDuration::from_hours(25 + 10);
            evictions.begin(believed);
            for (hours, expected) in [(0, 1), (-3, 0)] {
                let now = NOW + SignedDuration::from_hours(hours);
                let found = evictions.evictable(&mut transaction, &[], now, 1).await;
                assert_eq!(found.unwrap(), expected, "{hours}");
                let evicted = evictions.evict(&mut transaction, &[], now, 1).await;
                assert_eq!(evicted.unwrap().len(), expected, "{hours}");
                insert_again(&mut transaction).await;
            }
        });
    });
}

async fn insert_again(connection: &mut AnyConnection) {
    let delete = statement("DELETE FROM devices".into());
    delete.execute(&mut *connection).await.unwrap();
    insert(connection, &[FREE]).await;
}
