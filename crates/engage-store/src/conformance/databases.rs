//! The database that a device is to have: dropped for it, or set by command.

use super::engine::TestEngine;
use super::*;
use crate::{
    CallInWindow, Database, DatabaseChange, DatabaseFile, DatabaseSource, DbVersion, Store,
};

pub(super) async fn a_bad_database_is_refused_and_the_last_good_one_stays(engine: &TestEngine) {
    let store = engine.open();
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
    let window = CallInWindow::parse("00:00-04:00", "UTC").unwrap();
    let answered = async |store: &dyn Store| {
        let body = store.db_answer(&call(1, NOVEMBER), "0", &window).await;
        String::from_utf8(body.unwrap().to_vec()).unwrap()
    };
    let without = answered(&*store).await;
    assert!(without.starts_with("{\"dbDwnLdTm\":\"2026112"), "{without}");
    assert!(without.ends_with("\",\"nxtDbVerTS\":\"0\"}"), "{without}");

    let path = engine.directory().join("0000000000000001/db.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, GOOD_DATABASE).unwrap();
    let good = answered(&*store).await;
    assert!(
        good.starts_with(r#"{"db":{"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]},"dbDwnLdTm":""#),
        "{good}"
    );

    fs_err::write(&path, r#"{"db": {"schedules": []}}"#).unwrap();
    assert_eq!(answered(&*store).await, good);
    drop(store);
    let refused = engine.record(device(1)).unwrap().database_refused;
    assert!(refused.unwrap().starts_with("$.db.schedules: is empty"));
    let store = engine.open();
    assert_eq!(answered(&*store).await, good);
}

const GOOD_DATABASE: &str =
    r#"{"db": {"schedules": [{"days": ["Su"], "strtHr": 0, "strtMn": 0, "lngth": 1439}]}}"#;

/// Of several hosts only one has the file.
pub(super) async fn a_database_that_is_taken_away_is_sent_no_more_where_its_folder_is_ours_alone(
    engine: &TestEngine,
) {
    let store = engine.open();
    let path = engine.directory().join("0000000000000001/db.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, GOOD_DATABASE).unwrap();
    let dropped = store.database(device(1), at(NOVEMBER)).await.unwrap();
    fs_err::remove_file(&path).unwrap();
    let left = store.database(device(1), at(NOVEMBER)).await.unwrap();
    let versions = [dropped, left].map(|it| it.map(|it| it.version()));
    assert!(versions[0].is_some());
    let expected = versions[0].filter(|_| engine.is_shared());
    assert_eq!(versions[1], expected);
}

/// A database of its own for each length.
fn database(minutes: u32) -> String {
    GOOD_DATABASE.replace("1439", &minutes.to_string())
}

fn drop_file(engine: &TestEngine, text: &str) {
    let path = engine.directory().join("0000000000000001/db.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, text).unwrap();
}

fn remove_file(engine: &TestEngine) {
    fs_err::remove_file(engine.directory().join("0000000000000001/db.json")).unwrap();
}

/// Whether the device is to have the database of so many minutes.
async fn assert_current(store: &dyn Store, minutes: u32) {
    let found = store.database(device(1), at(NOVEMBER)).await.unwrap();
    let expected = Database::parse(database(minutes).as_bytes()).unwrap();
    let version = found.map(|it| it.version());
    assert_eq!(version, Some(expected.version()), "{minutes}");
}

pub(super) async fn a_database_that_is_set_stays_until_another_file_is_dropped(
    engine: &TestEngine,
) {
    let store = engine.open();
    // The device has never called.
    engine.set_database(device(1), &database(1));
    assert_current(&*store, 1).await;
    drop_file(engine, &database(2));
    assert_current(&*store, 2).await;
    engine.set_database(device(1), &database(3));
    for _ in 0..2 {
        assert_current(&*store, 3).await;
    }
    remove_file(engine);
    assert_current(&*store, 3).await;
    drop_file(engine, &database(2));
    assert_current(&*store, 3).await;
    drop_file(engine, &database(4));
    assert_current(&*store, 4).await;
    // The first file again is another than the last.
    drop_file(engine, &database(2));
    assert_current(&*store, 2).await;
    engine.set_database(device(1), &database(5));
    engine.set_database(device(1), &database(6));
    drop(store);
    assert_current(&*engine.open(), 6).await;
}

pub(super) async fn a_file_that_lay_there_before_a_database_was_set_is_not_newer(
    engine: &TestEngine,
) {
    let store = engine.open();
    drop_file(engine, &database(1));
    engine.set_database(device(1), &database(2));
    assert_current(&*store, 2).await;
    drop_file(engine, "{");
    assert_current(&*store, 2).await;
    drop_file(engine, &database(3));
    assert_current(&*store, 3).await;
}

pub(super) async fn what_is_set_is_not_taken_back_with_a_file_that_says_the_same(
    engine: &TestEngine,
) {
    let store = engine.open();
    drop_file(engine, &database(1));
    assert_current(&*store, 1).await;
    let source = |reader: crate::StoreReader| reader.database(device(1)).unwrap().unwrap().source;
    assert_eq!(engine.read(source), DatabaseSource::File);
    engine.set_database(device(1), &database(1));
    assert_eq!(engine.read(source), DatabaseSource::Command);
    remove_file(engine);
    assert_current(&*store, 1).await;
}

fn file(minutes: u32) -> DatabaseFile {
    DatabaseFile::parse(database(minutes).into_bytes().into()).unwrap()
}

/// The version in force, and its file.
async fn in_force(store: &dyn Store) -> Option<(DbVersion, String)> {
    let found = store
        .stored_database(device(1), at(NOVEMBER))
        .await
        .unwrap();
    found.map(|(stored, file)| (stored.version, String::from_utf8(file.to_vec()).unwrap()))
}

pub(super) async fn a_database_is_changed_by_who_knows_its_version(engine: &TestEngine) {
    let store = engine.open();
    let set = async |minutes, if_match| {
        let set = store.set_database(device(1), file(minutes), if_match, at(NOVEMBER));
        set.await.unwrap()
    };
    let remove = async |if_match| {
        let removed = store.remove_database(device(1), if_match, at(NOVEMBER));
        removed.await.unwrap()
    };
    let version = |minutes| file(minutes).database().version();
    let mismatch = |found| DatabaseChange::Mismatch { found };
    assert_eq!(in_force(&*store).await, None);
    assert_eq!(remove(None).await, DatabaseChange::Absent);
    assert_eq!(set(1, Some(version(1))).await, mismatch(DbVersion::NONE));
    assert_eq!(set(1, Some(DbVersion::NONE)).await, DatabaseChange::Changed);
    assert_eq!(set(2, Some(DbVersion::NONE)).await, mismatch(version(1)));
    assert_eq!(in_force(&*store).await, Some((version(1), database(1))));
    assert_eq!(set(2, Some(version(1))).await, DatabaseChange::Changed);
    assert_eq!(set(3, None).await, DatabaseChange::Changed);
    assert_current(&*store, 3).await;
    assert_eq!(remove(Some(version(2))).await, mismatch(version(3)));
    assert_eq!(remove(Some(version(3))).await, DatabaseChange::Changed);
    assert_eq!(in_force(&*store).await, None);
    assert_eq!(engine.known(), []);
}

pub(super) async fn of_many_who_change_the_same_version_one_does(engine: &TestEngine) {
    let stores = if engine.is_shared() {
        vec![engine.open(), engine.open()]
    } else {
        vec![engine.open()]
    };
    let set = |(at, store): (usize, &std::sync::Arc<dyn Store>)| {
        let (store, minutes) = (std::sync::Arc::clone(store), u32::try_from(at).unwrap() + 1);
        async move {
            let none = Some(DbVersion::NONE);
            let set = store.set_database(device(1), file(minutes), none, self::at(NOVEMBER));
            set.await.unwrap()
        }
    };
    let many = stores.iter().cycle().take(8).enumerate().map(set);
    let changes = many.collect::<tokio::task::JoinSet<_>>().join_all().await;
    let changed = changes.iter().filter(|it| **it == DatabaseChange::Changed);
    assert_eq!(changed.count(), 1, "{changes:?}");
}

pub(super) async fn what_is_dropped_is_found_and_is_removed_by_who_dropped_it(engine: &TestEngine) {
    let store = engine.open();
    drop_file(engine, &database(1));
    let version = |minutes| file(minutes).database().version();
    assert_eq!(in_force(&*store).await, Some((version(1), database(1))));
    let removed = store.remove_database(device(1), None, at(NOVEMBER)).await;
    let path = engine.directory().join("0000000000000001/db.json");
    assert_eq!(removed.unwrap(), DatabaseChange::Dropped { path });
    let set = store.set_database(device(1), file(2), Some(version(1)), at(NOVEMBER));
    assert_eq!(set.await.unwrap(), DatabaseChange::Changed);
    assert_current(&*store, 2).await;
    remove_file(engine);
    assert_current(&*store, 2).await;
    let removed = store.remove_database(device(1), Some(version(2)), at(NOVEMBER));
    assert_eq!(removed.await.unwrap(), DatabaseChange::Changed);
    drop_file(engine, &database(3));
    assert_current(&*store, 3).await;
    remove_file(engine);
    if !engine.is_shared() {
        assert_eq!(in_force(&*store).await, None);
        let set = store.set_database(device(1), file(4), Some(DbVersion::NONE), at(NOVEMBER));
        assert_eq!(set.await.unwrap(), DatabaseChange::Changed);
        assert_current(&*store, 4).await;
    }
}

/// Neither asking nor changing is a call.
pub(super) async fn who_asks_for_a_database_is_not_the_device(engine: &TestEngine) {
    let store = engine.open();
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
    let later = at(DECEMBER);
    let set = store.set_database(device(1), file(1), None, later);
    set.await.unwrap();
    store.stored_database(device(1), later).await.unwrap();
    drop(store);
    let record = engine.record(device(1)).unwrap();
    assert_eq!(record.last_seen, at(NOVEMBER));
}
