//! What subscribers and readers see.

use super::engine::TestEngine;
use super::*;
use crate::{
    Alert, AppendedDevices, BatchLimit, Cursor, EventFilter, EventKind, FollowItem, Subscriber,
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
    let mut cursor = Cursor::default();
    let mut delivered = Vec::new();
    for (seed, moment) in moments.iter().enumerate() {
        let stored = store.append_audits(&call(1, moment), batch(seed, 1)).await;
        stored.unwrap();
        assert!(appended.next().await.contains(&device(1)));
        while let Some(next) = store.next_batch(device(1), &cursor, ALL).await.unwrap() {
            assert_eq!(next.events[0].received_at, at(moment));
            delivered.extend(codes(&next.events));
            cursor = next.cursor;
            let commit = store.commit_cursor(Subscriber::Webhook, device(1), &cursor);
            commit.await.unwrap();
        }
    }
    let all: Vec<_> = (0..4).flat_map(|seed| codes_of(seed, 1)).collect();
    assert_eq!(delivered, all);
    assert_eq!(engine.codes(EventKind::Audits, device(1)), all);
    assert_eq!(store.pending(Subscriber::Webhook).await.unwrap(), []);
    let committed = store.load_cursor(Subscriber::Webhook, device(1)).await;
    assert_eq!(committed.unwrap(), cursor);
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
    let mut cursor = Cursor::default();
    let mut next = async |events, bytes| {
        let limit = BatchLimit { events, bytes };
        let batch = store.next_batch(device(1), &cursor, limit).await.unwrap()?;
        cursor = batch.cursor.clone();
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
    let webhook = Subscriber::Webhook;
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 3))
        .await
        .unwrap();
    store
        .append_audits(&call(2, DECEMBER), batch(2, 3))
        .await
        .unwrap();
    let begin = store.load_cursor(webhook, device(1)).await.unwrap();
    let limit = BatchLimit { events: 2, ..ALL };
    let first = store
        .next_batch(device(1), &begin, limit)
        .await
        .unwrap()
        .unwrap();
    store
        .commit_cursor(webhook, device(1), &first.cursor)
        .await
        .unwrap();
    drop(store);
    let store = engine.open();
    let cursor = store.load_cursor(webhook, device(1)).await.unwrap();
    let rest = store
        .next_batch(device(1), &cursor, ALL)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(codes(&rest.events), codes_of(1, 3)[2..]);
    let other = store.load_cursor(webhook, device(2)).await.unwrap();
    let all = store
        .next_batch(device(2), &other, ALL)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(codes(&all.events), codes_of(2, 3));
    let unknown = store.load_cursor(webhook, device(3)).await.unwrap();
    assert_eq!(
        store.next_batch(device(3), &unknown, ALL).await.unwrap(),
        None
    );
}

pub(super) async fn what_is_set_aside_can_be_read_and_is_not_delivered_again(engine: &TestEngine) {
    let store = engine.open();
    let webhook = Subscriber::Webhook;
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 3))
        .await
        .unwrap();
    let limit = BatchLimit { events: 1, ..ALL };
    let first = store.next_batch(device(1), &Cursor::default(), limit).await;
    let first = first.unwrap().unwrap();
    let set_aside = store.set_aside(webhook, device(1), &first, "answered 400");
    set_aside.await.unwrap();
    drop(store);
    let store = engine.open();
    let cursor = store.load_cursor(webhook, device(1)).await.unwrap();
    let rest = store
        .next_batch(device(1), &cursor, ALL)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(codes(&rest.events), codes_of(1, 3)[1..]);
    let undelivered = engine.read(|reader| reader.undelivered(webhook, device(1)).unwrap());
    let [event] = &undelivered.events[..] else {
        panic!("{undelivered:?}");
    };
    assert_eq!(event.event.code.as_deref(), Some("00010000"));
    assert_eq!(event.reason, "answered 400");
    let none = engine.read(|reader| reader.undelivered(webhook, device(2)).unwrap());
    assert!(none.events.is_empty());
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
    let all = store.next_batch(device(1), &Cursor::default(), ALL).await;
    let cursor = all.unwrap().unwrap().cursor;
    store
        .commit_cursor(webhook, device(1), &cursor)
        .await
        .unwrap();
    let pending = store.pending(webhook).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].device, device(2));
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
        kind: EventKind::Audits,
        since: Some(at(DECEMBER)),
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
                .read(&mut |item| {
                    if let FollowItem::Event { device, event, .. } = item {
                        found.push((device, event.code.clone().unwrap()));
                    }
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
