//! The tables, and how a database comes to have them.

use sqlx::any::Any;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row};

use super::connect::STATEMENT_TIMEOUT;
use super::device_keys;
use super::engine::Engine;
use super::error::open_error;
use crate::OpenError;

/// Brings a database to this program's schema. Several hosts may start at once: the row of the
/// version is the lock, and whoever waits for it finds the work done.
pub(super) async fn migrate(pool: &AnyPool, engine: &Engine) -> Result<(), OpenError> {
    let migrated = tokio::time::timeout(MIGRATION_TIMEOUT, async {
        let mut connection = pool.acquire().await?;
        ensure_version_table(&mut connection).await?;
        let mut transaction = connection.begin().await?;
        // A write, so that it locks at once: `SELECT .. FOR UPDATE` is not everybody's SQL.
        let lock = "UPDATE schema_version SET version = version WHERE id = 1 RETURNING version";
        let found: i64 = transaction.fetch_one(lock).await?.try_get(0)?;
        let applied = usize::try_from(found).unwrap_or(usize::MAX);
        if applied > MIGRATIONS.len() {
            return Ok(found);
        }
        for migration in &MIGRATIONS[applied..] {
            let text = engine.with_types(migration);
            transaction
                .execute(sqlx::raw_sql(AssertSqlSafe(text)))
                .await?;
        }
        if applied < DEVICE_KEYS && applied > 0 {
            device_keys::fill(&mut transaction).await?;
        }
        sqlx::query("UPDATE schema_version SET version = $1 WHERE id = 1")
            .bind(i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(found)
    });
    match migrated.await {
        Ok(Ok(found)) => newer_schema(engine, found),
        Ok(Err(error)) => Err(open_error(engine, error)),
        Err(_) => Err(open_error(engine, sqlx::Error::PoolTimedOut)),
    }
}

/// Whether this program knows a database's schema, for who does not bring it up to date.
pub(super) async fn check_version(
    executor: impl Executor<'_, Database = Any>,
    engine: &Engine,
) -> Result<(), OpenError> {
    let found = async {
        let row = executor
            .fetch_one("SELECT version FROM schema_version")
            .await?;
        row.try_get::<i64, _>(0)
    };
    let found = found.await.map_err(|error| open_error(engine, error))?;
    newer_schema(engine, found)
}

/// Fails where a version is newer than this program.
pub(super) fn newer_schema(engine: &Engine, version: i64) -> Result<(), OpenError> {
    let found = usize::try_from(version).unwrap_or(usize::MAX);
    if found <= MIGRATIONS.len() {
        return Ok(());
    }
    Err(OpenError::NewerSchema {
        place: engine.place(),
        found,
        supported: MIGRATIONS.len(),
    })
}

/// Two that create it at the same moment may hinder each other on PostgreSQL, although each says
/// "if not exists": the second attempt finds it.
async fn ensure_version_table(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let create = "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)";
    if connection.execute(create).await.is_err() {
        connection.execute(create).await?;
    }
    let first =
        "INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
    connection.execute(first).await.map(drop)
}

/// The names of all tables of a schema, and of this program's where that is older.
pub(super) fn tables(version: i64) -> impl Iterator<Item = &'static str> {
    let applied = usize::try_from(version).unwrap_or(usize::MAX);
    let lines = MIGRATIONS
        .iter()
        .take(applied)
        .flat_map(|migration| migration.lines());
    let tables = lines.filter_map(|line| line.strip_prefix("CREATE TABLE "));
    tables.filter_map(|table| table.split_whitespace().next())
}

/// Never changed once released: what is to be different is added. Times are microseconds since 1970
/// (UTC). `BYTES` and `NAME` stand for what has another name in each engine; a `NAME` sorts by its
/// bytes, so that it can be paged through and searched by its beginning.
const MIGRATIONS: [&str; 4] = [
    "
CREATE TABLE devices (
    device NAME PRIMARY KEY,
    revision BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    filed_at BIGINT NOT NULL,
    last_audits TEXT,
    last_alerts TEXT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    address TEXT,
    site TEXT,
    name TEXT,
    model TEXT,
    firmware TEXT,
    battery TEXT,
    certificate_at BIGINT,
    certificate TEXT,
    tls_at BIGINT,
    tls TEXT,
    config_saved_at BIGINT,
    audits_stored_at BIGINT,
    database_at BIGINT,
    database_version TEXT,
    database_refused TEXT,
    next_call_at BIGINT,
    next_call TEXT
);
CREATE INDEX devices_site ON devices (site, device);
CREATE INDEX devices_model ON devices (model, device);
CREATE INDEX devices_certificate ON devices (certificate, device);
CREATE INDEX devices_newest ON devices (device, last_seq, last_seen);
CREATE INDEX devices_address ON devices (address, tls_at);
CREATE TABLE events (
    device NAME NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    filed_at BIGINT NOT NULL,
    code TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (device, seq)
);
CREATE INDEX events_filed_at ON events (filed_at, device, seq);
CREATE INDEX events_alerts ON events (filed_at, device, seq) WHERE kind = 'alerts';
CREATE TABLE batches (
    batch NAME NOT NULL,
    kind TEXT NOT NULL,
    filed_at BIGINT NOT NULL,
    PRIMARY KEY (batch, kind)
);
CREATE INDEX batches_filed_at ON batches (filed_at);
CREATE TABLE configs (
    device NAME PRIMARY KEY,
    saved_at BIGINT NOT NULL,
    body BYTES NOT NULL
);
CREATE TABLE databases (
    device NAME PRIMARY KEY,
    taken_at BIGINT NOT NULL,
    version TEXT NOT NULL,
    source TEXT NOT NULL DEFAULT 'file',
    file_version TEXT,
    body BYTES NOT NULL
);
CREATE TABLE quarantine (
    device NAME NOT NULL,
    received_at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    size BIGINT NOT NULL,
    body BYTES NOT NULL,
    PRIMARY KEY (device, received_at, kind)
);
CREATE INDEX quarantine_sizes ON quarantine (device, received_at, kind, size);
CREATE TABLE certificate_fetches (
    fetcher NAME PRIMARY KEY,
    network TEXT NOT NULL,
    certificate TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE cursors (
    subscriber NAME NOT NULL,
    device NAME NOT NULL,
    seq BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0,
    note TEXT,
    PRIMARY KEY (subscriber, device)
);
CREATE TABLE undelivered (
    subscriber NAME NOT NULL,
    device NAME NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (subscriber, device)
);
CREATE TABLE hosts (
    host NAME PRIMARY KEY,
    alive_until BIGINT NOT NULL
);
CREATE TABLE leases (
    lease NAME PRIMARY KEY,
    host NAME NOT NULL
);
CREATE INDEX leases_host ON leases (host);
CREATE TABLE moments (
    name NAME PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE VIEW v1_devices AS SELECT
    device, first_seen, last_seen, address, site, name, model, firmware, battery,
    certificate, certificate_at, tls, tls_at, config_saved_at, audits_stored_at,
    database_version, database_at, next_call, next_call_at
    FROM devices;
CREATE VIEW v1_events AS SELECT device, seq, kind, received_at, code, body FROM events;
",
    "
ALTER TABLE devices ADD COLUMN proven_at BIGINT;
UPDATE devices SET proven_at = first_seen WHERE certificate_at IS NOT NULL OR config_saved_at IS NOT NULL;
CREATE INDEX devices_unproven ON devices (last_seen, device) WHERE proven_at IS NULL;
CREATE INDEX cursors_device ON cursors (device);
CREATE INDEX certificate_fetches_at ON certificate_fetches (at);
CREATE INDEX certificate_fetches_network ON certificate_fetches (network, at);
",
    "
CREATE TABLE rotation (
    id BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL,
    body TEXT
);
INSERT INTO rotation (id, revision) VALUES (1, 0);
CREATE TABLE rotation_reports (
    host NAME PRIMARY KEY,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    is_swapped BIGINT NOT NULL,
    refusal TEXT,
    reported_at BIGINT NOT NULL
);
CREATE TABLE adoption (
    device NAME PRIMARY KEY,
    address TEXT NOT NULL,
    network TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    site TEXT,
    site_at BIGINT,
    told TEXT,
    told_at BIGINT,
    fetched TEXT,
    fetched_at BIGINT,
    verified TEXT,
    verified_at BIGINT,
    failed TEXT,
    failed_at BIGINT,
    failure TEXT,
    stored_at BIGINT NOT NULL
);
CREATE INDEX adoption_address ON adoption (address, device);
CREATE INDEX adoption_network ON adoption (network, seen_at);
CREATE INDEX adoption_seen_at ON adoption (seen_at);
CREATE INDEX adoption_stored_at ON adoption (stored_at);
",
    "
ALTER TABLE devices ADD COLUMN name_key NAME NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN battery_millis BIGINT NOT NULL DEFAULT 9223372036854775807;
CREATE INDEX devices_door_name ON devices (name_key, device);
CREATE INDEX devices_search ON devices (device, name_key);
CREATE INDEX devices_last_seen ON devices (last_seen, device, name_key);
CREATE INDEX devices_battery ON devices (battery_millis, device, name_key);
CREATE INDEX devices_site_last_seen ON devices (site, last_seen, device);
CREATE INDEX events_code ON events (code, filed_at, device, seq, kind);
CREATE TABLE counters (
    name NAME PRIMARY KEY,
    value BIGINT NOT NULL
);
CREATE TABLE appended (
    number BIGINT NOT NULL PRIMARY KEY,
    filed_at BIGINT NOT NULL,
    device NAME NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
);
INSERT INTO appended (number, filed_at, device, first_seq, last_seq)
    SELECT row_number() OVER (ORDER BY filed_at, device), filed_at, device, min(seq), max(seq)
    FROM events GROUP BY filed_at, device;
CREATE INDEX appended_filed_at ON appended (filed_at);
INSERT INTO counters (name, value) SELECT 'appended', coalesce(max(number), 0) FROM appended;
INSERT INTO counters (name, value) VALUES ('admin_events', 0);
CREATE TABLE call_ins (
    hour BIGINT NOT NULL PRIMARY KEY,
    devices BIGINT NOT NULL
);
CREATE TABLE admin_events (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    source TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX admin_events_at ON admin_events (at);
CREATE TABLE idempotency (
    actor NAME NOT NULL,
    request_key NAME NOT NULL,
    at BIGINT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT,
    content_type TEXT,
    body BYTES,
    PRIMARY KEY (actor, request_key)
);
CREATE INDEX idempotency_at ON idempotency (at);
",
];

/// The schema in which devices have keys to be sorted and searched by.
const DEVICE_KEYS: usize = 4;

/// Longer than one statement: a new index over many events takes its time.
const MIGRATION_TIMEOUT: std::time::Duration = STATEMENT_TIMEOUT.saturating_mul(60);
