//! What subscribers and readers see.

use super::engine::TestEngine;
use super::*;
use crate::{
    Alert, AppendedDevices, BatchLimit, Cursor, EventFilter, EventKind, Lease, SetAside, Store,
    StoreError, Subscriber, UploadKind,
};

const ALL: BatchLimit = BatchLimit {
    events: 100,
    bytes: 1024 * 1024,
};

fn codes(events: &[crate::LoggedEvent]) -> Vec<String> {
    let code = |event: &crate::LoggedEvent| {
        let event: serde_json::Value = serde_json::from_slice(&event.text).unwrap();
        event["code"].as_str().unwrap().to_owned()
    };
    events.iter().map(code).collect()
}

async fn lease(store: &dyn Store, number: u64) -> Lease {
    let acquired = store.acquire(Subscriber::Webhook, device(number)).await;
    acquired.unwrap().unwrap()
}

pub(super) async fn a_clock_that_is_set_back_over_the_end_of_a_month_changes_no_order(
    engine: &TestEngine,
) {
    let store = engine.open();
    let moments = [
        NOVEMBER,
        DECEMBER,
        "2026-11-30T23:59:50Z",
        "2026-12-01T00:01:00Z",
    ];
    let appended = AppendedDevices::default();
    store.subscribe(Subscriber::Webhook, appended.clone());
    let mut delivered = Vec::new();
    for (seed, moment) in moments.iter().enumerate() {
        let stored = store.append_audits(&call(1, moment), batch(seed, 1)).await;
        stored.unwrap();
        assert!(appended.next().await.contains(&device(1)));
        let lease = lease(&*store, 1).await;
        let mut cursor = store.load_cursor(&lease).await.unwrap();
        while let Some(next) = store.next_batch(&lease, cursor, ALL).await.unwrap() {
            assert_eq!(next.events[0].received_at, at(moment));
            delivered.extend(codes(&next.events));
            cursor = next.cursor;
        }
        store.release(lease, Some(cursor)).await.unwrap();
    }
    let all: Vec<_> = (0..4).flat_map(|seed| codes_of(seed, 1)).collect();
    assert_eq!(delivered, all);
    assert_eq!(engine.codes(EventKind::Audits, device(1)), all);
    assert_eq!(store.pending(Subscriber::Webhook).await.unwrap(), []);
}

pub(super) async fn a_batch_of_events_keeps_its_limits_and_is_of_one_kind(engine: &TestEngine) {
    let store = engine.open();
    let alert = Alert::parse(br#"{"event":"0B050000","time":"20261123021259"}"#).unwrap();
    let moments = [
        "2026-11-23T02:00:00Z",
        "2026-11-23T02:00:01Z",
        "2026-11-23T02:00:02Z",
    ];
    store
        .append_audits(&call(1, moments[0]), batch(1, 70))
        .await
        .unwrap();
    store
        .append_alert(&call(1, moments[1]), alert)
        .await
        .unwrap();
    store
        .append_audits(&call(1, moments[2]), batch(2, 2))
        .await
        .unwrap();
    let lease = lease(&*store, 1).await;
    let mut cursor = Cursor::default();
    let mut next = async |events, bytes| {
        let limit = BatchLimit { events, bytes };
        let batch = store.next_batch(&lease, cursor, limit).await.unwrap()?;
        cursor = batch.cursor;
        Some((batch.kind, batch.events.len()))
    };
    let (audits, alerts) = (EventKind::Audits, EventKind::Alerts);
    assert_eq!(next(40, 1 << 20).await, Some((audits, 40)));
    assert_eq!(next(40, 1).await, Some((audits, 1)));
    assert_eq!(next(40, 1 << 20).await, Some((audits, 29)));
    assert_eq!(next(40, 1 << 20).await, Some((alerts, 1)));
    assert_eq!(next(40, 1 << 20).await, Some((audits, 2)));
    assert_eq!(next(40, 1 << 20).await, None);
}

pub(super) async fn a_cursor_survives_a_restart_and_is_of_one_device(engine: &TestEngine) {
    let store = engine.open();
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 3))
        .await
        .unwrap();
    store
        .append_audits(&call(2, DECEMBER), batch(2, 3))
        .await
        .unwrap();
    let first = lease(&*store, 1).await;
    let begin = store.load_cursor(&first).await.unwrap();
    let limit = BatchLimit { events: 2, ..ALL };
    let two = store.next_batch(&first, begin, limit).await.unwrap();
    let two = two.unwrap().cursor;
    store.release(first, Some(two)).await.unwrap();
    // One that comes late changes nothing.
    let late = lease(&*store, 1).await;
    store.release(late, Some(begin)).await.unwrap();
    drop(store);
    let store = engine.open();
    assert_eq!(rest(&*store, 1).await, codes_of(1, 3)[2..]);
    assert_eq!(rest(&*store, 2).await, codes_of(2, 3));
    assert!(rest(&*store, 3).await.is_empty());
}

/// What has not been taken of a device.
async fn rest(store: &dyn Store, number: u64) -> Vec<String> {
    let lease = lease(store, number).await;
    let cursor = store.load_cursor(&lease).await.unwrap();
    let batch = store.next_batch(&lease, cursor, ALL).await.unwrap();
    store.release(lease, None).await.unwrap();
    batch.map_or_else(Vec::new, |batch| codes(&batch.events))
}

pub(super) async fn what_is_set_aside_can_be_read_and_is_not_delivered_again(engine: &TestEngine) {
    let store = engine.open();
    let webhook = Subscriber::Webhook;
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 3))
        .await
        .unwrap();
    let limit = BatchLimit { events: 1, ..ALL };
    let lease = lease(&*store, 1).await;
    let first = store.next_batch(&lease, Cursor::default(), limit).await;
    let first = first.unwrap().unwrap();
    let set_aside = store.set_aside(&lease, &first, "answered 400");
    set_aside.await.unwrap();
    drop(store);
    let store = engine.open();
    assert_eq!(rest(&*store, 1).await, codes_of(1, 3)[1..]);
    let undelivered =
        |number| engine.read(|reader| reader.undelivered(webhook, Some(device(number))).unwrap());
    let all = engine.read(|reader| reader.undelivered(webhook, None).unwrap());
    assert_eq!(all.len(), 1);
    let (_, undelivered_of_first) = undelivered(1).remove(0);
    let [event] = &undelivered_of_first.events[..] else {
        panic!("{undelivered_of_first:?}");
    };
    assert_eq!(event.event.code.as_deref(), Some("00010000"));
    assert_eq!(event.reason, "answered 400");
    assert!(undelivered(2).is_empty());
    let body = b"{".as_slice().into();
    let from_first = call(1, NOVEMBER);
    let refused = store.quarantine(&from_first, UploadKind::Audit, body);
    refused.await.unwrap();
    let set_aside = async |number| store.set_aside_of(device(number)).await.unwrap();
    let of_first = SetAside {
        undelivered: 1,
        quarantined: 1,
    };
    assert_eq!(set_aside(1).await, of_first);
    assert_eq!(set_aside(2).await, SetAside::default());
}

pub(super) async fn who_waits_is_told_and_who_has_all_is_not_pending(engine: &TestEngine) {
    let store = engine.open();
    let webhook = Subscriber::Webhook;
    for (number, moment) in [(1, NOVEMBER), (2, DECEMBER), (2, NOVEMBER)] {
        let seed = usize::from(moment == NOVEMBER);
        store
            .append_audits(&call(number, moment), batch(seed, 2))
            .await
            .unwrap();
    }
    let mut pending = store.pending(webhook).await.unwrap();
    pending.sort_by_key(|it| it.device);
    let oldest: Vec<_> = pending.iter().map(|it| (it.device, it.oldest)).collect();
    assert_eq!(
        oldest,
        [(device(1), at(NOVEMBER)), (device(2), at(DECEMBER))]
    );
    let lease = lease(&*store, 1).await;
    let all = store.next_batch(&lease, Cursor::default(), ALL).await;
    let cursor = all.unwrap().unwrap().cursor;
    store.release(lease, Some(cursor)).await.unwrap();
    let pending = store.pending(webhook).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].device, device(2));
}

pub(super) async fn a_device_is_leased_to_one_host_at_a_time(engine: &TestEngine) {
    if !engine.is_shared() {
        return;
    }
    let (first, second) = (engine.open(), engine.open());
    first
        .append_audits(&call(1, NOVEMBER), batch(1, 3))
        .await
        .unwrap();
    let (webhook, device) = (Subscriber::Webhook, device(1));
    let held = lease(&*first, 1).await;
    assert!(second.acquire(webhook, device).await.unwrap().is_none());
    // Its own host gets it again, as after a delivery that broke off.
    let again = lease(&*first, 1).await;
    let begin = first.load_cursor(&held).await.unwrap();
    let all = first.next_batch(&held, begin, ALL).await.unwrap().unwrap();
    first.release(held, Some(all.cursor)).await.unwrap();
    let moved = lease(&*second, 1).await;
    assert_eq!(second.load_cursor(&moved).await.unwrap(), all.cursor);
    for refused in [
        first.set_aside(&again, &all, "answered 400").await,
        first.release(again, Some(all.cursor)).await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::LeaseLost { .. }), "{refused}");
    }
    // Who ends properly leaves nothing that others would have to wait for.
    drop(second);
    let told = engine.read(|reader| reader.undelivered(webhook, Some(device)).unwrap());
    assert!(told.is_empty());
    lease(&*first, 1).await;
}

pub(super) async fn a_follower_reads_each_event_once_and_only_what_it_asked_for(
    engine: &TestEngine,
) {
    let store = engine.open();
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 40))
        .await
        .unwrap();
    store
        .append_audits(&call(2, DECEMBER), batch(2, 1))
        .await
        .unwrap();
    let filter = EventFilter {
        device: None,
        kind: Some(EventKind::Audits),
        since: Some(at(DECEMBER)),
        until: None,
        ..EventFilter::default()
    };
    let (more, added) = std::sync::mpsc::channel();
    let (told, heard) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    let appending = {
        let store = store.clone();
        std::thread::spawn(move || {
            added.recv().unwrap();
            let call = call(1, DECEMBER);
            let stored = store.append_audits(&call, batch(3, 2));
            runtime.block_on(stored).unwrap();
            told.send(()).unwrap();
        })
    };
    let found = engine.read(move |reader| {
        let mut follower = reader.follow(filter);
        let mut found = Vec::new();
        let mut read = || {
            follower
                .read(&mut |event| {
                    found.push((event.device, event.parse()?.code.unwrap()));
                    Ok(())
                })
                .unwrap();
        };
        read();
        more.send(()).unwrap();
        heard.recv().unwrap();
        read();
        read();
        found
    });
    appending.join().unwrap();
    let expected = [(2, "00020000"), (1, "00030000"), (1, "00030001")];
    let expected = expected.map(|(number, code)| (device(number), code.to_owned()));
    assert_eq!(found, expected);
}
