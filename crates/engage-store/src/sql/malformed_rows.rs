//! Rows that somebody changed by hand: they concern their own device and nobody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::Executor;
use tokio::task::JoinSet;

use super::tests::{batch, call, other_pool};
use crate::conformance::postgres::postgres;
use crate::{
    DeviceQuery, DeviceStore, EventFilter, EventLog, EventOrder, EventQuery, Health, KeepDays,
    PageLimit, SqlOptions, SqlStore, StoreError, StoreReader, Subscriber,
};

fn sqlite(folder: &Path) -> SqlOptions {
    SqlOptions::sqlite(folder.join("engage-host.db"))
}

fn open(options: &SqlOptions) -> Arc<SqlStore> {
    Arc::new(SqlStore::open(options.clone(), KeepDays::default()).unwrap())
}

/// Somebody's statements.
async fn change(options: &SqlOptions, statements: &'static str) {
    let other = other_pool(options);
    other.execute(statements).await.unwrap();
    other.close().await;
}

/// The outcomes of one upload of each of six devices, all at once.
async fn upload(store: &Arc<SqlStore>, code: &'static str) -> Vec<(u64, Result<(), StoreError>)> {
    let mut uploads = JoinSet::new();
    for number in 0..6 {
        let store = Arc::clone(store);
        uploads.spawn(async move {
            let stored = store.append_audits(&call(number), batch(code)).await;
            (number, stored.map(drop))
        });
    }
    uploads.join_all().await
}

async fn a_device_whose_numbers_are_used_up_is_refused_alone(options: SqlOptions) {
    let store = open(&options);
    for (_, stored) in upload(&store, "1").await {
        stored.unwrap();
    }
    let last = "UPDATE devices SET last_seq = 9223372036854775807 \
        WHERE device IN ('0000000000000003')";
    change(&options, last).await;
    for code in ["2", "3"] {
        for (number, stored) in upload(&store, code).await {
            match stored {
                Ok(()) => assert_ne!(number, 3),
                Err(refused) => {
                    assert_eq!(number, 3, "{refused}");
                    let text = engage_wire::diagnostic::one_line(&refused);
                    assert!(
                        text.contains("`last_seq` of device 0000000000000003"),
                        "{text}"
                    );
                }
            }
        }
    }
    assert_eq!(store.health(), Health::Writable);
    let all = thread::spawn(move || {
        let reader = StoreReader::open(&options).unwrap();
        let mut follower = reader.follow(EventFilter::default());
        let mut events = 0;
        for _ in 0..2 {
            let mut count = |_: &_| {
                events += 1;
                Ok(())
            };
            follower.read(&mut count).unwrap();
        }
        events
    });
    assert_eq!(all.join().unwrap(), 5 * 3 + 1);
}

#[tokio::test]
async fn a_device_whose_numbers_are_used_up_is_refused_alone_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_device_whose_numbers_are_used_up_is_refused_alone(sqlite(folder.path())).await;
}

#[tokio::test]
async fn a_device_whose_numbers_are_used_up_is_refused_alone_on_postgresql() {
    let Some(server) = postgres() else { return };
    let options = SqlOptions {
        url: server.create_database().url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    a_device_whose_numbers_are_used_up_is_refused_alone(options).await;
}

/// All pages, each of one row: the number of rows, and what was left out.
fn pages(reader: &StoreReader, order: EventOrder) -> (usize, usize, BTreeSet<String>) {
    let (mut devices, mut events, mut left_out) = (0, 0, BTreeSet::new());
    let mut query = DeviceQuery {
        limit: PageLimit::clamped(1),
        ..DeviceQuery::default()
    };
    loop {
        let page = reader.devices(&query).unwrap();
        devices += page.devices.len();
        left_out.extend(page.left_out);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let mut query = EventQuery {
        order,
        limit: PageLimit::clamped(1),
        ..EventQuery::default()
    };
    loop {
        let page = reader.events(&query).unwrap();
        events += page.events.len();
        left_out.extend(page.left_out);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    (devices, events, left_out)
}

async fn rows_that_somebody_changed_are_left_out_and_nothing_else(
    mut options: SqlOptions,
    folder: &Path,
) {
    options.directory = Some(folder.to_owned());
    let store = open(&options);
    for code in ["1", "2"] {
        for (_, stored) in upload(&store, code).await {
            stored.unwrap();
        }
    }
    drop(store);
    let rows = "INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen) \
        VALUES ('!first', 1, 1, 0, 0, 0), ('0000000000000001x', 1, 1, 0, 0, 0), ('zzz', 1, 1, 0, 0, 0); \
        INSERT INTO events (device, seq, kind, received_at, filed_at, body) \
        VALUES ('!first', 1, 'audits', 0, 0, '{}'), ('0000000000000001x', 1, 'audits', 0, 0, '{}'), \
        ('zzz', 1, 'audits', 9999999999999999, 9999999999999999, '{}'); \
        UPDATE events SET kind = 'bogus' WHERE device = '0000000000000001' AND seq = 2";
    change(&options, rows).await;
    options.json_files = true;
    let store = open(&options);
    let pending = store.pending(Subscriber::Webhook).await.unwrap();
    assert_eq!(pending.len(), 6);
    for (_, stored) in upload(&store, "3").await {
        stored.unwrap();
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    let lines = |number: u64| {
        let path = folder.join(format!("{number:016X}/audits-2026-11.jsonl"));
        fs_err::read_to_string(path).map_or(0, |text| text.lines().count())
    };
    while [0, 2, 3, 4, 5].into_iter().any(|number| lines(number) < 3) || store.warnings().is_empty()
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let warnings: Vec<_> = store.warnings().iter().map(ToString::to_string).collect();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(warning.contains("neither audits nor alerts"), "{warning}");
    assert!(!warning.contains("permission"), "{warning}");
    assert_eq!(store.health(), Health::Writable);
    let exported = folder.join("exported");
    let reading = thread::spawn(move || {
        let reader = StoreReader::open(&options).unwrap();
        for order in [EventOrder::ByDevice, EventOrder::NewestFirst] {
            let (devices, events, left_out) = pages(&reader, order);
            assert_eq!((devices, events), (6, 18));
            assert_eq!(left_out.len(), 3, "{left_out:?}");
        }
        let (mut follower, mut events) = (reader.follow(EventFilter::default()), 0);
        let mut count = |_: &_| {
            events += 1;
            Ok(())
        };
        follower.read(&mut count).unwrap();
        assert_eq!(events, 18);
        assert!(!follower.take_left_out().is_empty());
        reader.export(&exported).unwrap()
    });
    let exported = reading.join().unwrap();
    assert_eq!((exported.devices, exported.left_out.len()), (5, 4));
}

#[tokio::test]
async fn rows_that_somebody_changed_are_left_out_and_nothing_else_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlite(folder.path());
    rows_that_somebody_changed_are_left_out_and_nothing_else(options, folder.path()).await;
}

#[tokio::test]
async fn rows_that_somebody_changed_are_left_out_and_nothing_else_on_postgresql() {
    let Some(server) = postgres() else { return };
    let (folder, database) = (tempfile::tempdir().unwrap(), server.create_database());
    let options = SqlOptions {
        url: database.url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    rows_that_somebody_changed_are_left_out_and_nothing_else(options, folder.path()).await;
}

#[tokio::test]
async fn a_value_of_another_type_concerns_its_device_only() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlite(folder.path());
    let store = open(&options);
    upload(&store, "1").await;
    let types = "UPDATE events SET body = x'00ff80' WHERE device = '0000000000000001'; \
        UPDATE devices SET site = x'00ff80' WHERE device = '0000000000000002'";
    change(&options, types).await;
    for (number, stored) in upload(&store, "2").await {
        assert_eq!(stored.is_ok(), number != 2, "{number}: {stored:?}");
    }
    assert_eq!(store.health(), Health::Writable);
    let reading = thread::spawn(move || {
        let reader = StoreReader::open(&options).unwrap();
        let (devices, events, left_out) = pages(&reader, EventOrder::ByDevice);
        assert_eq!(
            (devices, events, left_out.len()),
            (5, 10, 2),
            "{left_out:?}"
        );
        let refused = reader
            .record("0000000000000002".parse().unwrap())
            .unwrap_err();
        let refused: &StoreError = refused.get_ref().unwrap().downcast_ref().unwrap();
        let hint = engage_wire::diagnostic::hint(refused);
        assert!(hint.contains("restore a backup"), "{hint}");
    });
    reading.join().unwrap();
}
