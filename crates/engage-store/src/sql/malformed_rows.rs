//! Rows that somebody changed by hand: they concern their own device and nobody else.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use sqlx::Executor;
use tokio::task::JoinSet;

use super::tests::{batch, call, other_pool};
use crate::conformance::postgres::postgres;
use crate::{
    DeviceStore, EventFilter, Health, KeepDays, SqlOptions, SqlStore, StoreError, StoreReader,
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
