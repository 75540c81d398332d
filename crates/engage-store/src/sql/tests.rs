//! What only a database can do wrong.

mod each_engine;
mod retention;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyPool, Executor, Row};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::connect::pool;
use super::engine::Engine;
use super::shared::Shared;
use crate::conformance::postgres::postgres;
use crate::owner_lock::OwnerLock;
use crate::{
    AppendOutcome, AuditBatch, BatchLimit, Call, ConfigUpload, Cursor, DeviceId, DeviceStore,
    EventLog, Health, KeepDays, OpenError, SqlOptions, SqlStore, StoreError, StoreReader,
    Subscriber,
};

pub(super) use each_engine::{steps_of, with_each_engine};

pub(super) fn device(number: u64) -> DeviceId {
    format!("{number:016X}").parse().unwrap()
}

pub(super) fn call(number: u64) -> Call {
    Call {
        device: device(number),
        peer: "10.44.0.7".parse().unwrap(),
        is_authenticated: true,
        is_listed: false,
        received_at: NOVEMBER.parse().unwrap(),
    }
}

pub(super) fn batch(code: &str) -> AuditBatch {
    AuditBatch::parse(format!(r#"{{"event":"{code}","time":""}}"#).as_bytes()).unwrap()
}

const NOVEMBER: &str = "2026-11-23T02:13:05Z";

/// A store on a file in a folder of its own.
struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("engage-host.db")
    }

    fn options(&self) -> SqlOptions {
        SqlOptions::sqlite(self.file())
    }

    fn open(&self) -> Result<SqlStore, OpenError> {
        SqlStore::open(self.options(), KeepDays::default())
    }

    /// Another program, such as `sqlite3`.
    fn pool(&self) -> AnyPool {
        other_pool(&self.options())
    }
}

pub(super) fn other_pool(options: &SqlOptions) -> AnyPool {
    sqlx::any::install_default_drivers();
    let engine = Engine::new(&options.url);
    pool(options.connect_options(true).unwrap(), engine.settings(), 1)
}

async fn codes(store: &SqlStore, number: u64) -> Vec<String> {
    let limit = BatchLimit {
        events: 100_000,
        bytes: 1 << 30,
    };
    let lease = store.acquire(Subscriber::Webhook, device(number)).await;
    let lease = lease.unwrap().unwrap();
    let events = store.next_batch(&lease, Cursor::default(), limit).await;
    let events = events.unwrap();
    store.release(lease, None).await.unwrap();
    let code = |text: &[u8]| {
        let event: serde_json::Value = serde_json::from_slice(text).unwrap();
        event["code"].as_str().unwrap().to_owned()
    };
    let events = events.map_or_else(Vec::new, |batch| batch.events);
    events.iter().map(|event| code(&event.text)).collect()
}

#[test]
fn a_damaged_file_is_refused_with_a_hint_and_left_as_it_is() {
    let sqlite = Sqlite::new();
    let garbage = b"no database ".repeat(1000);
    fs_err::write(sqlite.file(), &garbage).unwrap();
    let refused = sqlite.open().err().unwrap();
    let hint = miette::Diagnostic::help(&refused).unwrap().to_string();
    assert!(hint.contains("restore a backup"), "{refused:?}: {hint}");
    assert_eq!(fs_err::read(sqlite.file()).unwrap(), garbage);
}

#[test]
fn what_an_interrupted_first_start_leaves_passes_the_check_as_it_is_opened() {
    let (empty, without_tables) = (Sqlite::new(), Sqlite::new());
    for sqlite in [&empty, &without_tables] {
        fs_err::write(sqlite.file(), "").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let other = without_tables.pool();
        let change = "CREATE TABLE one (a BIGINT); DROP TABLE one";
        other.execute(sqlx::raw_sql(change)).await.unwrap();
        other.close().await;
    });
    for sqlite in [empty, without_tables] {
        sqlite.options().check().unwrap();
        drop(sqlite.open().unwrap());
        sqlite.options().check().unwrap();
    }
}

#[tokio::test]
async fn a_schema_that_is_newer_is_refused() {
    let sqlite = Sqlite::new();
    drop(sqlite.open().unwrap());
    let other = sqlite.pool();
    let newer = "UPDATE schema_version SET version = 99";
    other.execute(newer).await.unwrap();
    other.close().await;
    let options = sqlite.options();
    let reader = std::thread::spawn(move || StoreReader::open(&options).err().unwrap());
    for refused in [sqlite.open().err().unwrap(), reader.join().unwrap()] {
        assert!(
            matches!(refused, OpenError::NewerSchema { found: 99, .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_second_owner_is_told_who_is_the_first() {
    let sqlite = Sqlite::new();
    let first = sqlite.open().unwrap();
    let second = sqlite.open().err().unwrap();
    assert!(matches!(second, OpenError::Held { pid, .. } if pid == Some(std::process::id())));
    drop(first);
    sqlite.open().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_devices_send() {
    use std::os::unix::fs::PermissionsExt;

    let sqlite = Sqlite::new();
    let store = sqlite.open().unwrap();
    store.append_audits(&call(1), batch("1")).await.unwrap();
    let files: Vec<_> = fs_err::read_dir(sqlite.folder.path()).unwrap().collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files.into_iter().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{} is {mode:o}", file.path().display());
    }
}

/// What was acknowledged before is gone with the file; what comes after is not.
#[cfg_attr(windows, ignore = "Windows lets nobody remove a file that is open")]
#[tokio::test]
async fn a_file_that_is_removed_under_the_daemon_takes_no_acknowledgement_with_it() {
    let sqlite = Sqlite::new();
    let store = sqlite.open().unwrap();
    store.append_audits(&call(1), batch("1")).await.unwrap();
    fs_err::remove_file(sqlite.file()).unwrap();
    let again = store.append_audits(&call(1), batch("1")).await;
    assert_eq!(again.unwrap(), AppendOutcome::Created);
    drop(store);
    let store = sqlite.open().unwrap();
    assert_eq!(codes(&store, 1).await, ["00000001"]);
}

#[tokio::test]
async fn a_directory_that_was_moved_away_is_waited_for() {
    let sqlite = Sqlite::new();
    let directory = sqlite.folder.path().join("Engage_Data");
    let file = directory.join("engage-host.db");
    let store = SqlStore::open(SqlOptions::sqlite(file), KeepDays::default()).unwrap();
    store.append_audits(&call(1), batch("1")).await.unwrap();
    let elsewhere = sqlite.folder.path().join("elsewhere");
    fs_err::rename(&directory, &elsewhere).unwrap();
    store.append_audits(&call(1), batch("2")).await.unwrap_err();
    assert!(!directory.exists());
    fs_err::rename(&elsewhere, &directory).unwrap();
    store.append_audits(&call(1), batch("2")).await.unwrap();
    assert_eq!(codes(&store, 1).await, ["00000001", "00000002"]);
}

/// A program holds the file locked, such as a copy that takes long.
#[tokio::test]
async fn a_full_queue_refuses_at_once_and_what_waits_is_stored() {
    let sqlite = Sqlite::new();
    let store = Arc::new(sqlite.open().unwrap());
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(1024 * 1024));
    let upload = ConfigUpload::parse(body.as_bytes()).unwrap();
    let other = sqlite.pool();
    let mut lock = other.acquire().await.unwrap();
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    let mut uploads = JoinSet::new();
    for number in 0..70 {
        let (store, upload) = (Arc::clone(&store), upload.clone());
        uploads.spawn(async move { store.save_config(&call(number), upload).await });
    }
    let (mut busy, mut stored) = (0, 0);
    while let Some(outcome) = uploads.join_next().await {
        match outcome.unwrap() {
            Err(StoreError::Busy) => busy += 1,
            outcome => {
                outcome.unwrap();
                stored += 1;
            }
        }
        if busy == 6 && stored == 0 {
            lock.execute("ROLLBACK").await.unwrap();
        }
    }
    assert!(busy >= 6 && stored == 70 - busy, "{busy} {stored}");
}

#[tokio::test]
async fn a_long_reader_is_warned_of_and_the_log_is_emptied_when_it_has_ended() {
    let sqlite = Sqlite::new();
    let store = sqlite.open().unwrap();
    // Bytes that do not change are not written.
    let uploads = ["x", "y"].map(|text| {
        let body = format!(r#"{{"x":"{}"}}"#, text.repeat(4_000_000));
        ConfigUpload::parse(body.as_bytes()).unwrap()
    });
    let [first, _] = uploads.clone();
    store.save_config(&call(1), first).await.unwrap();
    let other = sqlite.pool();
    let mut reader = other.begin().await.unwrap();
    reader
        .fetch_all("SELECT device FROM devices")
        .await
        .unwrap();
    for upload in uploads.into_iter().rev().cycle().take(70) {
        store.save_config(&call(1), upload).await.unwrap();
    }
    let log = sqlite.file().with_extension("db-wal");
    let is_long = || fs_err::metadata(&log).unwrap().len() > 256 << 20;
    assert!(is_long(), "{}", fs_err::metadata(&log).unwrap().len());
    let warnings = || store.warnings().iter().map(ToString::to_string).collect();
    let deadline = Instant::now() + Duration::from_mins(1);
    let wait = async |until: &dyn Fn(&[String]) -> bool| loop {
        let told: Vec<String> = warnings();
        if until(&told) {
            break told;
        }
        assert!(Instant::now() < deadline, "{told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let told = wait(&|told| !told.is_empty()).await;
    let what = format!("log `{}` has ", log.display());
    assert!(
        told[0].contains(&what) && told[0].contains("fuser"),
        "{told:?}"
    );
    drop(reader);
    wait(&<[String]>::is_empty).await;
    assert!(!is_long());
}

#[tokio::test]
async fn what_the_database_refuses_of_one_device_is_stored_of_the_others() {
    let sqlite = Sqlite::new();
    let store = Arc::new(sqlite.open().unwrap());
    let other = sqlite.pool();
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.code = '00000003' \
        BEGIN SELECT RAISE(ABORT, 'refused'); END";
    let mut lock = other.acquire().await.unwrap();
    lock.execute(trigger).await.unwrap();
    // Held until all wait, so that they are one group.
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    let mut uploads = JoinSet::new();
    for number in 0..6_u64 {
        let store = Arc::clone(&store);
        uploads.spawn(async move {
            let stored = store
                .append_audits(&call(number), batch(&number.to_string()))
                .await;
            (number, stored.is_ok())
        });
    }
    tokio::task::yield_now().await;
    lock.execute("ROLLBACK").await.unwrap();
    for (number, is_stored) in uploads.join_all().await {
        assert_eq!(is_stored, number != 3, "{number}");
    }
    assert_eq!(store.health(), Health::Writable);
}

/// Whoever may only read cannot make the files of a write-ahead log.
#[cfg(unix)]
#[test]
fn a_closed_database_is_read_without_writing_anything() {
    use crate::DeviceQuery;

    let sqlite = Sqlite::new();
    drop(sqlite.open().unwrap());
    let list = |folder: &std::path::Path| fs_err::read_dir(folder).unwrap().count();
    let before = list(sqlite.folder.path());
    let reader = StoreReader::open(&sqlite.options()).unwrap();
    let page = reader.devices(&DeviceQuery::default()).unwrap();
    assert!(page.devices.is_empty());
    assert_eq!(list(sqlite.folder.path()), before);
}

#[tokio::test]
async fn what_was_closed_for_good_is_not_opened_anew() {
    let sqlite = Sqlite::new();
    let lock = OwnerLock::acquire(sqlite.folder.path()).unwrap();
    sqlx::any::install_default_drivers();
    let shared = Shared::open(sqlite.options(), Some(lock)).await.unwrap();
    assert!(shared.reader().await.is_ok());
    shared.close().await;
    let asked = shared.reader().await;
    assert!(matches!(asked, Err(sqlx::Error::PoolClosed)));
}
