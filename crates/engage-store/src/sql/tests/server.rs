//! A server that is shared, goes away, or lacks rights.

use super::*;
use crate::conformance::postgres::PostgresServer;

#[tokio::test]
async fn two_hosts_store_a_batch_once_and_number_events_without_a_gap() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let options = SqlOptions {
        url: database.url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    let open = || Arc::new(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
    let hosts = [open(), open()];
    let mut uploads = JoinSet::new();
    for number in 0..200_u64 {
        for host in &hosts {
            let host = Arc::clone(host);
            uploads.spawn(async move {
                host.append_audits(&call(number % 3), batch(&number.to_string()))
                    .await
                    .unwrap()
            });
        }
    }
    let outcomes = uploads.join_all().await;
    let created = |it: &&AppendOutcome| **it == AppendOutcome::Created;
    assert_eq!(outcomes.iter().filter(created).count(), 3);
    let rows = other_pool(&options)
        .fetch_all("SELECT device, seq FROM events ORDER BY device, seq")
        .await
        .unwrap();
    assert_eq!(rows.len(), 200);
    for number in 0..3 {
        let seqs = rows
            .iter()
            .filter(|row| row.get::<String, _>(0) == device(number).to_string());
        let seqs: Vec<i64> = seqs.map(|row| row.get(1)).collect();
        let all: Vec<_> = (1..).take(seqs.len()).collect();
        assert_eq!(seqs, all);
    }
}

#[tokio::test]
async fn a_server_that_dies_acknowledges_nothing_and_is_used_again_when_it_is_back() {
    goes_and_comes_back(PostgresServer::kill, PostgresServer::restart).await;
}

#[tokio::test]
async fn a_server_that_is_stopped_acknowledges_nothing_and_is_used_again_when_it_is_back() {
    goes_and_comes_back(PostgresServer::stop, PostgresServer::restart).await;
}

#[tokio::test]
async fn a_server_that_hangs_acknowledges_nothing_and_is_used_again_when_it_is_back() {
    goes_and_comes_back(PostgresServer::suspend, PostgresServer::resume).await;
}

async fn goes_and_comes_back(go: fn(&PostgresServer), come_back: fn(&PostgresServer)) {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let options = SqlOptions {
        url: server.create_database().url().parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    let store = SqlStore::open(options, KeepDays::default()).unwrap();
    // Its processes notice one after the other, and what they still acknowledge is durable.
    go(&server);
    let mut number = 0_u32;
    let refused = loop {
        number += 1;
        let batch = batch(&format!("{number:08X}"));
        match store.append_audits(&call(1), batch).await {
            Ok(_) => assert!(number < 100_000),
            Err(refused) => break refused,
        }
    };
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused}"
    );
    assert!(matches!(store.health(), Health::Failing { .. }));
    come_back(&server);
    let deadline = Instant::now() + Duration::from_mins(1);
    while store.health() != Health::Writable {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = batch(&format!("{number:08X}"));
    store.append_audits(&call(1), again).await.unwrap();
    let all: Vec<_> = (1..=number).map(|code| format!("{code:08X}")).collect();
    assert_eq!(codes(&store, 1).await, all);
}

#[test]
fn a_check_of_a_server_finds_the_table_that_the_user_may_not_change() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let url = database.url();
    let (_, name) = url.split_once("localhost/").unwrap();
    let (name, _) = name.split_once('?').unwrap();
    let options = |user| SqlOptions {
        url: url.replacen("engage@", user, 1).parse().unwrap(),
        ..SqlOptions::sqlite("unused".into())
    };
    drop(SqlStore::open(options("engage@"), KeepDays::default()).unwrap());
    let grant = "CREATE ROLE few_rights LOGIN; \
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO few_rights";
    server.psql(name, grant);
    options("few_rights@").check().unwrap();
    for right in ["INSERT", "UPDATE", "DELETE", "SELECT"] {
        server.psql(name, &format!("REVOKE {right} ON events FROM few_rights"));
        let refused = options("few_rights@").check().unwrap_err();
        let reason = engage_wire::diagnostic::causes(&refused);
        assert!(
            reason.contains("permission denied for table events"),
            "{reason}"
        );
        server.psql(name, &format!("GRANT {right} ON events TO few_rights"));
    }
}
