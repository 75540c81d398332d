//! A large store, made by the database itself.

use std::time::Instant;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

use super::Engine;
use crate::trouble::{Outcome, While};

/// Adds devices and their events to a store that has its tables: night after night, as they would
/// arrive, with a batch of ten events of each device.
pub(super) async fn fill(engine: &Engine, devices: u32, events: u32) -> Outcome<()> {
    sqlx::any::install_default_drivers();
    let started = Instant::now();
    let connected = AnyConnection::connect(&engine.url()).await;
    let mut database = connected.doing("connecting")?;
    // Nothing of it has to survive a crash.
    let settings = match engine {
        Engine::Sqlite(_) => "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000",
        Engine::Postgres(_) => "SET synchronous_commit = off",
    };
    let mut statements = vec![settings.to_owned(), DEVICES.to_owned()];
    for night in 0..events / 10 {
        let night = night.to_string();
        statements.push(EVENTS.replace("NIGHT", &night));
        statements.push(BATCHES.replace("NIGHT", &night));
    }
    // So that the log of SQLite is no larger than a daemon leaves it.
    if let Engine::Sqlite(_) = engine {
        statements.push("PRAGMA wal_checkpoint(TRUNCATE)".to_owned());
    }
    for statement in statements {
        let sql = statement.replace("DEVICES", &devices.to_string());
        let sql = AssertSqlSafe(in_words_of(engine, &sql));
        database
            .execute(sqlx::raw_sql(sql))
            .await
            .doing("filling the database")?;
    }
    database.close().await.doing("closing the database")?;
    eprintln!("{}: filled in {:.0?}", engine.name(), started.elapsed());
    Ok(())
}

/// The functions that have other names.
fn in_words_of(engine: &Engine, sql: &str) -> String {
    let (hex, end) = match engine {
        Engine::Sqlite(_) => ("printf('%0DIGITSX', ", ")"),
        Engine::Postgres(_) => ("upper(lpad(to_hex(", "), DIGITS, '0'))"),
    };
    ["16", "32"].iter().fold(sql.to_owned(), |sql, digits| {
        let open = hex.replace("DIGITS", digits);
        sql.replace(&format!("HEX{digits}["), &open)
            .replace(&format!("]{digits}"), &end.replace("DIGITS", digits))
    })
}

const DEVICES: &str = "
WITH RECURSIVE d(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM d WHERE n < DEVICES - 1)
INSERT INTO devices (device, revision, last_seq, filed_at, last_audits, first_seen, last_seen, address, site, name,
    model, firmware, battery, certificate_at, certificate, tls_at, tls, config_saved_at, audits_stored_at, next_call_at, next_call,
    proven_at)
SELECT HEX16[n * 2654435761]16, 1, 0, 0, HEX32[n]32, 1763000000000000, 1763000000000000 + n * 100000, '10.44.7.8',
    'site-' || (n % 100), 'Door ' || n, CASE n % 3 WHEN 0 THEN 'NDE80' WHEN 1 THEN 'LEB' ELSE 'Control' END, '03.08.02', '5.8',
    1763000000000000, 'AB:CD:' || (n % 4), 1763000000000000, '1.2', 1763000000000000, 1763000000000000, 1763000000000000,
    '2026-11-24T02:00:00+01:00[Europe/Berlin]', 1763000000000000 FROM d";

const EVENTS: &str = "
WITH RECURSIVE d(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM d WHERE n < DEVICES - 1),
    e(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM e WHERE i < 10)
INSERT INTO events (device, seq, kind, received_at, filed_at, code, body)
SELECT HEX16[n * 2654435761]16, NIGHT * 10 + i, CASE WHEN n % 50 = 0 AND i = 1 THEN 'alerts' ELSE 'audits' END,
    1763000000000000 + NIGHT * 86400000000 + n * 100000, 1763000000000000 + NIGHT * 86400000000 + n * 100000, '0B040001',
    '{\"received_at\":\"2026-11-23T02:13:05.123456Z\",\"event\":\"0B040001\",\"time\":\"20261123021259\",\"code\":\"0B040001\",\"name\":\"host connected or disconnected\",\"at\":\"2026-11-23T02:12:59\",\"batch\":\"'
    || HEX32[n * 1000 + NIGHT]32 || '\",\"line\":' || i || ',\"of\":10}' FROM d, e;
UPDATE devices SET last_seq = NIGHT * 10 + 10, filed_at = 1763000000000000 + NIGHT * 86400000000 + 10000000000";

const BATCHES: &str = "
WITH RECURSIVE d(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM d WHERE n < DEVICES - 1)
INSERT INTO batches (batch, kind, filed_at)
SELECT HEX32[(n * 1000 + NIGHT) * 2654435761 % 9007199254740881]32, 'audits', 1763000000000000 + NIGHT * 86400000000 + n * 100000 FROM d";
