//! Who makes room where places run out.

use std::sync::Arc;

use bytes::Bytes;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::engine::TestEngine;
use super::*;
use crate::{
    AppendedDevices, ConfigUpload, Cursor, EventKind, OpenError, Store, StoreError, StoredRotation,
    Subscriber, UploadKind,
};

const OLD: &str = "2026-10-01T02:00:00Z";
const NEXT_OLD: &str = "2026-10-02T02:00:00Z";
const YESTERDAY: &str = "2026-11-22T02:13:05Z";

pub(super) async fn where_places_run_out_the_unproven_device_that_was_seen_longest_ago_goes(
    engine: &TestEngine,
) {
    let store = engine.open();
    let config = || ConfigUpload::parse(br#"{"lckPrmtrs":{"mdl":"NDE80"}}"#).unwrap();
    store.save_config(&call(1, OLD), config()).await.unwrap();
    for (number, moment) in [(2, OLD), (3, NEXT_OLD), (4, YESTERDAY)] {
        deliver(&*store, number, moment).await.unwrap();
        let body = Bytes::from_static(b"{");
        let call = call(number, moment);
        let kept = store.quarantine(&call, UploadKind::Audit, body);
        kept.await.unwrap();
    }
    engine.set_database(
        device(5),
        r#"{"db":{"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1}]}}"#,
    );
    deliver(&*store, 5, OLD).await.unwrap();
    let store = fill_up(engine, store).await;

    deliver(&*store, 10, NOVEMBER).await.unwrap();
    assert_eq!(known_of(engine, 1..20), [1, 3, 4, 5, 10]);
    assert_eq!(engine.codes(EventKind::Audits, device(2)), [""; 0]);
    let quarantined = engine.read(|reader| reader.quarantined_bodies().unwrap());
    let quarantined: Vec<_> = quarantined.iter().map(|body| body.device).collect();
    assert_eq!(quarantined, [device(3), device(4)]);
    deliver(&*store, 11, NOVEMBER).await.unwrap();
    assert_eq!(known_of(engine, 1..20), [1, 4, 5, 10, 11]);
    assert_eq!(store.evicted_devices(), 2);

    // The others are proven, were seen yesterday, or are known to whoever set a database.
    let refused = deliver(&*store, 12, NOVEMBER).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::TooManyDevices { .. }),
        "{refused}"
    );
    store
        .save_config(&call(13, NOVEMBER), config())
        .await
        .unwrap();
    let registered = Call {
        is_listed: true,
        ..call(14, NOVEMBER)
    };
    store.append_audits(&registered, batch(1, 1)).await.unwrap();
    deliver(&*store, 4, NOVEMBER).await.unwrap();
    assert_eq!(known_of(engine, 1..20), [1, 4, 5, 10, 11, 13, 14]);
    assert_eq!(store.evicted_devices(), 2);
    assert_eq!(engine.codes(EventKind::Audits, device(4)), codes_of(4, 2));
}

pub(super) async fn what_a_subscriber_has_not_taken_keeps_its_device_and_who_returns_begins_anew(
    engine: &TestEngine,
) {
    let store = engine.open();
    deliver(&*store, 2, OLD).await.unwrap();
    deliver(&*store, 3, NEXT_OLD).await.unwrap();
    take_all(&*store, 3).await;
    let store = fill_up(engine, store).await;
    let appended = AppendedDevices::default();
    store.subscribe(Subscriber::Webhook, appended.clone());
    deliver(&*store, 10, NOVEMBER).await.unwrap();
    assert_eq!(known_of(engine, 1..20), [2, 10]);
    deliver(&*store, 11, NOVEMBER).await.unwrap_err();
    take_all(&*store, 2).await;
    store
        .append_audits(&call(3, NOVEMBER), batch(9, 1))
        .await
        .unwrap();
    assert_eq!(known_of(engine, 1..20), [3, 10]);
    let pending = store.pending(Subscriber::Webhook).await.unwrap();
    let mut pending: Vec<_> = pending.iter().map(|it| it.device).collect();
    pending.sort();
    assert_eq!(pending, [device(3), device(10)]);
    assert_eq!(engine.codes(EventKind::Audits, device(3)), codes_of(9, 1));
}

pub(super) async fn a_database_of_the_first_schema_is_told_who_is_proven(engine: &TestEngine) {
    let store = engine.open();
    let config = ConfigUpload::parse(b"{}").unwrap();
    store.save_config(&call(1, OLD), config).await.unwrap();
    deliver(&*store, 2, OLD).await.unwrap();
    drop(store);
    let mut connection = engine.connect(None).await;
    for change in UNDO_SCHEMA_4 {
        connection.execute(change).await.unwrap();
    }
    for change in [
        "DROP INDEX devices_unproven",
        "DROP INDEX cursors_device",
        "DROP INDEX certificate_fetches_at",
        "DROP INDEX certificate_fetches_network",
        "ALTER TABLE devices DROP COLUMN proven_at",
        "DROP TABLE rotation",
        "DROP TABLE rotation_reports",
        "DROP TABLE adoption",
        "UPDATE schema_version SET version = 1",
    ] {
        connection.execute(change).await.unwrap();
    }
    drop(connection);
    let rotation = engine.read(|reader| reader.rotation().unwrap());
    assert_eq!(rotation, StoredRotation::default());
    let refused = engine.write(|writer| writer.require_rotations().unwrap_err());
    assert!(
        matches!(refused, OpenError::OlderSchema { found: 1, .. }),
        "{refused}"
    );
    let store = engine.open();
    engine.write(|writer| writer.require_rotations().unwrap());
    deliver(&*store, 2, NEXT_OLD).await.unwrap();
    let mut connection = engine.connect(None).await;
    let unproven = "SELECT device FROM devices WHERE proven_at IS NULL";
    let unproven = connection.fetch_all(unproven).await.unwrap();
    let unproven: Vec<String> = unproven.iter().map(|row| row.get(0)).collect();
    assert_eq!(unproven, [device(2).to_string()]);
}

async fn deliver(store: &dyn Store, number: u64, moment: &str) -> Result<(), StoreError> {
    let seed = usize::try_from(number).unwrap();
    let call = call(number, moment);
    let stored = store.append_audits(&call, batch(seed, 2));
    stored.await.map(drop)
}

async fn take_all(store: &dyn Store, number: u64) {
    let lease = store.acquire(Subscriber::Webhook, device(number)).await;
    let lease = lease.unwrap().unwrap();
    store.release(lease, Some(Cursor(2))).await.unwrap();
}

/// Of these numbers.
fn known_of(engine: &TestEngine, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let numbers = numbers.filter(|number| engine.record(device(*number)).is_some());
    numbers.collect()
}

/// Fills the places of unproven devices with such that were seen yesterday.
async fn fill_up(engine: &TestEngine, store: Arc<dyn Store>) -> Arc<dyn Store> {
    drop(store);
    let mut connection = engine.connect(None).await;
    let seen = at(YESTERDAY).as_microsecond();
    let strangers = format!(
        "WITH RECURSIVE numbers (number) AS (SELECT CAST(1 AS BIGINT) UNION ALL \
         SELECT number + 1 FROM numbers WHERE number < \
         100000 - (SELECT count(*) FROM devices WHERE proven_at IS NULL)) \
         INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen) \
         SELECT CAST(1000000000000000 + number AS TEXT), 1, 0, 0, {seen}, {seen} FROM numbers"
    );
    connection.execute(AssertSqlSafe(strangers)).await.unwrap();
    engine.open()
}
