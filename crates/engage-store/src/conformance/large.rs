//! What pages of 100,000 devices and 1,000,000 events cost. Printed, without bounds:
//! `cargo test -p engage-store -- --ignored --nocapture --test-threads=1 large`.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor};

use super::engine::TestEngine;
use super::*;
use crate::{
    DeviceOrder, DeviceQuery, EventCode, EventFilter, EventKind, EventOrder, EventQuery, PageLimit,
    Store, StoreError,
};

#[tokio::test]
#[ignore = "fills databases for a minute"]
async fn sqlite() {
    large(&TestEngine::sqlite()).await;
}

#[tokio::test]
#[ignore = "fills databases for a minute"]
async fn postgresql() {
    if let Some(engine) = TestEngine::postgres() {
        large(&engine).await;
    }
}

async fn large(engine: &TestEngine) {
    drop(engine.open());
    fill(engine).await;
    let store = engine.open();
    devices(&*store).await;
    events(&*store).await;
    let since = at(NOVEMBER);
    time("summary", async || store.summary(since).await).await;
    time("call-ins by hour", async || {
        store.call_ins_by_hour(since).await
    })
    .await;
    let one = device_of(50_000);
    time("a device", async || store.device(one).await).await;
    time("what is set aside of it", async || {
        store.set_aside_of(one).await
    })
    .await;
}

async fn devices(store: &dyn Store) {
    let limit = PageLimit::clamped(50);
    for order in DeviceOrder::ALL {
        let query = |search: Option<&str>, site: Option<&str>| DeviceQuery {
            order,
            limit,
            search: search.map(|text| text.parse().unwrap()),
            site: site.map(str::to_owned),
            ..DeviceQuery::default()
        };
        let page = async |what: &str, query: DeviceQuery| {
            let asked = async || store.devices(&query).await;
            time(&format!("devices by {order}, {what}"), asked).await
        };
        let first = page("first page", query(None, None)).await;
        let second = DeviceQuery {
            after: first.next,
            ..query(None, None)
        };
        page("second page", second).await;
        page("search of many", query(Some("door 1"), None)).await;
        page("search of one", query(Some("door 99999"), None)).await;
        page("search of none", query(Some("window"), None)).await;
        page("a site of 50", query(None, Some("site-7"))).await;
    }
}

async fn events(store: &dyn Store) {
    let limit = PageLimit::clamped(50);
    let code = |text| EventFilter {
        code: EventCode::parse(text),
        ..EventFilter::default()
    };
    let alerts = EventFilter {
        kind: Some(EventKind::Alerts),
        ..code("0B040001")
    };
    let of_one = EventFilter {
        device: Some(device_of(50_000)),
        ..EventFilter::default()
    };
    for order in [EventOrder::NewestFirst, EventOrder::OldestFirst] {
        for (what, filter) in [
            ("all", EventFilter::default()),
            ("a frequent code", code("0B040001")),
            ("a rare code", code("06040000")),
            ("a code that never was", code("FFFFFFFF")),
            ("a code that no alert has", alerts),
            ("a device", of_one),
        ] {
            let query = EventQuery {
                filter,
                order,
                limit,
                after: None,
            };
            let asked = async || store.events(&query).await;
            time(&format!("events {order:?}, {what}"), asked).await;
        }
    }
    let end = store.events_end().await.unwrap();
    let query = EventQuery {
        order: EventOrder::OldestFirst,
        after: Some(end),
        ..EventQuery::default()
    };
    time("events that are new, none", async || {
        store.events(&query).await
    })
    .await;
}

async fn time<T: Debug>(what: &str, ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let mut best = Duration::MAX;
    let mut found = None;
    for _ in 0..5 {
        let begin = Instant::now();
        found = Some(ask().await.unwrap());
        best = best.min(begin.elapsed());
    }
    println!("{:9.3} ms  {what}", best.as_secs_f64() * 1000.0);
    found.unwrap()
}

fn device_of(number: u64) -> DeviceId {
    format!("{}", 1_000_000_000_000_000 + number)
        .parse()
        .unwrap()
}

/// As if each device had delivered ten events, in turns.
async fn fill(engine: &TestEngine) {
    let begin = at(NOVEMBER).as_microsecond();
    let numbers = |last: u32| {
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL \
             SELECT n + 1 FROM numbers WHERE n < {last})"
        )
    };
    let devices = format!(
        "INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen, proven_at, \
         site, name, name_key, model, firmware, battery, battery_millis) \
         {} SELECT CAST(1000000000000000 + n * 7919 % 100000 AS TEXT), 1, 10, {begin}, {begin}, \
         {begin} + n * 7907 % 100000 * 864000, {begin}, 'site-' || CAST(n % 2000 AS TEXT), \
         'Door ' || CAST(n AS TEXT), 'door ' || CAST(n AS TEXT), 'NDE80', '02.11.03', '6', \
         5000 + n % 1500 FROM numbers",
        numbers(100_000)
    );
    let events = format!(
        "INSERT INTO events (device, seq, kind, received_at, filed_at, code, body) \
         {} SELECT CAST(1000000000000000 + n % 100000 AS TEXT), n / 100000 + 1, \
         CASE WHEN n % 101 = 0 THEN 'alerts' ELSE 'audits' END, {begin} + n * 86400, {begin} + n * 86400, \
         CASE WHEN n % 10000 = 0 THEN '06040000' WHEN n % 101 = 0 THEN '0B050000' ELSE '0B04000' || CAST(n % 4 AS TEXT) END, \
         '{BODY}' FROM numbers",
        numbers(1_000_000)
    );
    let appended = "INSERT INTO appended (number, filed_at, device, first_seq, last_seq) \
         SELECT row_number() OVER (ORDER BY filed_at), filed_at, device, seq, seq FROM events";
    let counted = "UPDATE counters SET value = 1000000 WHERE name = 'appended'";
    let mut connection = engine.connect(None).await;
    for statement in [&*devices, &*events, appended, counted] {
        connection
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
    }
    if engine.is_shared() {
        connection.execute("VACUUM ANALYZE").await.unwrap();
    }
}

const BODY: &str = r#"{"received_at":"2026-11-23T02:13:05Z","event":"0B040001","time":"20261123021305","code":"0B040001","name":"host connected or disconnected","at":"2026-11-23T02:13:05","batch":"0123456789abcdef0123456789abcdef","line":1,"of":2}"#;
