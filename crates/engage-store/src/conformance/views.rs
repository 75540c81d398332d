//! What integrators may read with programs of their own. Its columns never change.

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use super::engine::TestEngine;
use super::*;

pub(super) async fn the_views_have_the_promised_columns(engine: &TestEngine) {
    let store = engine.open();
    let mut connection = engine.connect(None).await;
    for (view, columns) in [("v1_devices", &DEVICES[..]), ("v1_events", &EVENTS)] {
        let list = if engine.is_shared() {
            format!(
                "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) \
                 FROM information_schema.columns WHERE table_name = '{view}' ORDER BY ordinal_position"
            )
        } else {
            format!("SELECT name, lower(type) FROM pragma_table_info('{view}') ORDER BY cid")
        };
        let rows = connection.fetch_all(AssertSqlSafe(list)).await.unwrap();
        let found: Vec<(String, String)> = rows.iter().map(|it| (it.get(0), it.get(1))).collect();
        let found: Vec<_> = found.iter().map(|(name, of)| (&**name, &**of)).collect();
        assert_eq!(found, columns);
    }
    drop(store);
}

pub(super) async fn who_may_only_read_the_views_sees_what_was_stored_and_nothing_else(
    engine: &TestEngine,
) {
    let store = engine.open();
    store
        .append_audits(&call(1, NOVEMBER), batch(7, 2))
        .await
        .unwrap();
    let mut reader = engine.connect(Some("reader")).await;
    let events = "SELECT device, seq, kind, received_at, code, body FROM v1_events ORDER BY seq";
    let rows = reader.fetch_all(events).await.unwrap();
    let second = &rows[1];
    assert_eq!(rows.len(), 2);
    assert_eq!(second.get::<String, _>("device"), device(1).to_string());
    assert_eq!(second.get::<i64, _>("seq"), 2);
    assert_eq!(second.get::<String, _>("kind"), "audits");
    assert_eq!(
        second.get::<i64, _>("received_at"),
        at(NOVEMBER).as_microsecond()
    );
    assert_eq!(second.get::<String, _>("code"), "00070001");
    let body = second.get::<String, _>("body");
    assert_eq!(engine.events(crate::EventKind::Audits, device(1))[1], body);
    let row = reader
        .fetch_one("SELECT last_seen FROM v1_devices")
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), at(NOVEMBER).as_microsecond());
    let mut refused = vec!["DELETE FROM v1_events", "UPDATE devices SET site = ''"];
    if engine.is_shared() {
        refused.extend(["SELECT body FROM configs", "SELECT device FROM devices"]);
    }
    for statement in refused {
        assert!(reader.execute(statement).await.is_err(), "{statement}");
    }
    reader.close().await.unwrap();
    // A row that somebody reads hinders nobody who writes.
    store
        .append_audits(&call(1, DECEMBER), batch(8, 1))
        .await
        .unwrap();
}

impl TestEngine {
    /// As another program connects: the owner, or a user who may read the views.
    pub(super) async fn connect(&self, user: Option<&str>) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let url = self.url();
        let Some(user) = user else {
            return AnyConnection::connect(&url).await.unwrap();
        };
        if !self.is_shared() {
            return AnyConnection::connect(&format!("{url}?mode=ro"))
                .await
                .unwrap();
        }
        let mut owner = AnyConnection::connect(&url).await.unwrap();
        let grant =
            format!("CREATE ROLE {user} LOGIN; GRANT SELECT ON v1_devices, v1_events TO {user}");
        owner
            .execute(sqlx::raw_sql(AssertSqlSafe(grant)))
            .await
            .unwrap();
        let url = url.replacen("engage@", &format!("{user}@"), 1);
        AnyConnection::connect(&url).await.unwrap()
    }
}

const DEVICES: [(&str, &str); 19] = [
    ("device", "text"),
    ("first_seen", "bigint"),
    ("last_seen", "bigint"),
    ("address", "text"),
    ("site", "text"),
    ("name", "text"),
    ("model", "text"),
    ("firmware", "text"),
    ("battery", "text"),
    ("certificate", "text"),
    ("certificate_at", "bigint"),
    ("tls", "text"),
    ("tls_at", "bigint"),
    ("config_saved_at", "bigint"),
    ("audits_stored_at", "bigint"),
    ("database_version", "text"),
    ("database_at", "bigint"),
    ("next_call", "text"),
    ("next_call_at", "bigint"),
];

const EVENTS: [(&str, &str); 6] = [
    ("device", "text"),
    ("seq", "bigint"),
    ("kind", "text"),
    ("received_at", "bigint"),
    ("code", "text"),
    ("body", "text"),
];
