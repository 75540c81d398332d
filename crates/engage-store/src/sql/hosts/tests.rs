use std::time::Duration;

use sqlx::Executor;
use tokio::time::timeout;

use super::super::tests::{batch, call, device, other_pool};
use crate::conformance::postgres::postgres;
use crate::{
    AppendedDevices, DeviceStore, EventLog, KeepDays, SqlOptions, SqlStore, StoreError, Subscriber,
};

/// As after it hung for a while: its row is all that others see of it.
#[tokio::test]
async fn a_host_that_others_count_dead_breaks_off_and_loses_what_it_had() {
    let Some(server) = postgres() else { return };
    let options = SqlOptions {
        url: server.create_database().url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    let open = || SqlStore::open(options.clone(), KeepDays::default()).unwrap();
    let (first, second) = (open(), open());
    first.append_audits(&call(1), batch("1")).await.unwrap();
    let webhook = Subscriber::Webhook;
    let lease = first.acquire(webhook, device(1)).await.unwrap().unwrap();
    let other = other_pool(&options);
    let dead = "DELETE FROM hosts WHERE host = (SELECT host FROM leases)";
    assert_eq!(other.execute(dead).await.unwrap().rows_affected(), 1);
    assert!(second.acquire(webhook, device(1)).await.unwrap().is_some());
    let expired = timeout(Duration::from_secs(30), lease.expired()).await;
    expired.expect("it is told that its row is gone");
    let refused = first.release(lease, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost { .. }), "{refused}");
    // It lives on, with leases of its own.
    assert!(first.acquire(webhook, device(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_host_leaves_that_ends_is_looked_for_by_the_others() {
    let Some(server) = postgres() else { return };
    let options = SqlOptions {
        url: server.create_database().url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    let open = || SqlStore::open(options.clone(), KeepDays::default()).unwrap();
    let (first, second) = (open(), open());
    let appended = AppendedDevices::default();
    second.subscribe(Subscriber::Webhook, appended.clone());
    first.append_audits(&call(1), batch("1")).await.unwrap();
    // Not before it was seen.
    let others = || second.shared.hosts.others.lock().len();
    let seen = async {
        while others() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), seen).await.unwrap();
    drop(first);
    let found = timeout(Duration::from_secs(30), appended.next()).await;
    assert!(found.unwrap().contains(&device(1)));
}
