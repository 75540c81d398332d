//! Who follows all events in the order in which they were stored.

use std::sync::Arc;

use jiff::SignedDuration;
use sqlx::Executor;
use tokio::task::JoinSet;

use super::engine::TestEngine;
use super::*;
use crate::{
    ConfigUpload, DeviceOrder, DeviceQuery, EventFilter, EventKind, EventOrder, EventPageToken,
    EventQuery, PageLimit, Store, StoreError,
};

/// A reader that keeps nothing but its page token.
struct Follower {
    query: EventQuery,
}

impl Follower {
    fn new(filter: EventFilter, limit: u64) -> Self {
        let query = EventQuery {
            filter,
            order: EventOrder::OldestFirst,
            after: None,
            limit: PageLimit::clamped(limit),
        };
        Self { query }
    }

    /// The codes of what was added, and whose they are.
    async fn read(&mut self, store: &dyn Store) -> Vec<(DeviceId, String)> {
        let mut found = Vec::new();
        loop {
            let page = store.events(&self.query).await.unwrap();
            for event in &page.events {
                found.push((event.device, event.parse().unwrap().code.unwrap()));
            }
            let end = page.end.unwrap().to_string();
            self.query.after = Some(end.parse().unwrap());
            if page.next.is_none() {
                return found;
            }
        }
    }
}

fn events_of(number: u64, seed: usize, events: usize) -> Vec<(DeviceId, String)> {
    let codes = codes_of(seed, events).into_iter();
    codes.map(|code| (device(number), code)).collect()
}

async fn deliver(store: &dyn Store, number: u64, moment: &str, seed: usize) {
    let call = Call {
        is_authenticated: true,
        ..call(number, moment)
    };
    store.append_audits(&call, batch(seed, 3)).await.unwrap();
}

pub(super) async fn a_follower_gets_what_is_stored_later_later_whatever_clocks_say(
    engine: &TestEngine,
) {
    let store = engine.open();
    let mut all = Follower::new(EventFilter::default(), 2);
    let mut of_first = Follower::new(
        EventFilter {
            device: Some(device(1)),
            ..EventFilter::default()
        },
        2,
    );
    assert_eq!(all.read(&*store).await, []);
    assert_eq!(of_first.read(&*store).await, []);
    deliver(&*store, 2, DECEMBER, 1).await;
    deliver(&*store, 1, NOVEMBER, 2).await;
    let begun = [events_of(2, 1, 3), events_of(1, 2, 3)].concat();
    assert_eq!(all.read(&*store).await, begun);
    assert_eq!(all.read(&*store).await, []);
    let mut later = Follower::new(EventFilter::default(), 1000);
    later.query.after = Some(store.events_end().await.unwrap());
    deliver(&*store, 1, "2026-01-01T00:00:00Z", 3).await;
    // Again, because its acknowledgement was not heard.
    deliver(&*store, 1, DECEMBER, 3).await;
    drop(store);
    let store = engine.open();
    deliver(&*store, 2, NOVEMBER, 4).await;
    let rest = [events_of(1, 3, 3), events_of(2, 4, 3)].concat();
    assert_eq!(all.read(&*store).await, rest);
    assert_eq!(later.read(&*store).await, rest);
    assert_eq!(
        of_first.read(&*store).await,
        [events_of(1, 2, 3), events_of(1, 3, 3)].concat()
    );
    let mut anew = Follower::new(EventFilter::default(), 1000);
    assert_eq!(anew.read(&*store).await, [begun, rest].concat());
}

/// What is committed later has a greater number, although it was begun earlier.
pub(super) async fn with_many_hosts_at_once_a_follower_misses_nothing_and_gets_nothing_twice(
    engine: &TestEngine,
) {
    let hosts = if engine.is_shared() { 3 } else { 1 };
    let stores: Vec<_> = (0..hosts).map(|_| engine.open()).collect();
    let mut deliveries = JoinSet::new();
    for number in 1..=24_u64 {
        let host = usize::try_from(number).unwrap() % hosts;
        let store = Arc::clone(&stores[host]);
        deliveries.spawn(async move {
            for round in 0..8 {
                let seed = usize::try_from(number).unwrap() * 100 + round;
                deliver(&*store, number, NOVEMBER, seed).await;
            }
        });
    }
    let mut follower = Follower::new(EventFilter::default(), 7);
    let mut found = Vec::new();
    while deliveries.join_next().await.transpose().unwrap().is_some() {
        found.extend(follower.read(&*stores[0]).await);
    }
    found.extend(follower.read(&*stores[hosts - 1]).await);
    for number in 1..=24_u64 {
        let own = found
            .iter()
            .filter(|(device, _)| *device == self::device(number));
        let own: Vec<_> = own.cloned().collect();
        let seeds = (0..8).map(|round| usize::try_from(number).unwrap() * 100 + round);
        let expected: Vec<_> = seeds.flat_map(|seed| events_of(number, seed, 3)).collect();
        assert_eq!(own, expected, "{number}");
    }
    assert_eq!(found.len(), 24 * 8 * 3);
}

pub(super) async fn a_follower_of_a_code_is_given_that_code_alone_and_goes_on_behind_the_others(
    engine: &TestEngine,
) {
    let store = engine.open();
    for number in 1..=3 {
        deliver(&*store, number, NOVEMBER, 7).await;
    }
    let filter = EventFilter {
        code: crate::EventCode::parse("00070001"),
        ..EventFilter::default()
    };
    let mut follower = Follower::new(filter, 2);
    let code = "00070001".to_owned();
    let expected: Vec<_> = (1..=3)
        .map(|number| (device(number), code.clone()))
        .collect();
    assert_eq!(follower.read(&*store).await, expected);
    assert_eq!(follower.read(&*store).await, []);
    let newest = EventQuery {
        filter,
        order: EventOrder::NewestFirst,
        limit: PageLimit::clamped(2),
        after: None,
    };
    let first = store.events(&newest).await.unwrap();
    let second = EventQuery {
        after: first.next,
        ..newest
    };
    let second = store.events(&second).await.unwrap();
    let found = [first.events, second.events].concat();
    let found: Vec<_> = found.iter().map(|it| (it.device, it.seq)).collect();
    assert_eq!(found, [3, 2, 1].map(|number| (device(number), 2)));
    let of_one = EventFilter {
        device: Some(device(2)),
        kind: Some(EventKind::Audits),
        since: Some(at(NOVEMBER)),
        until: Some(at(NOVEMBER) + SignedDuration::from_secs(1)),
        ..filter
    };
    let found = Follower::new(of_one, 1).read(&*store).await;
    assert_eq!(found, [(device(2), code)]);
}

pub(super) async fn a_token_of_another_question_is_refused(engine: &TestEngine) {
    let store = engine.open();
    deliver(&*store, 1, NOVEMBER, 1).await;
    let query = |order, device: Option<u64>, after: Option<&EventPageToken>| EventQuery {
        filter: EventFilter {
            device: device.map(self::device),
            ..EventFilter::default()
        },
        order,
        after: after.cloned(),
        limit: PageLimit::clamped(1),
    };
    let (oldest, newest) = (EventOrder::OldestFirst, EventOrder::NewestFirst);
    let appended = store.events_end().await.unwrap();
    let filed = store
        .events(&query(newest, None, None))
        .await
        .unwrap()
        .next
        .unwrap();
    for (order, device, token) in [
        (oldest, None, &filed),
        (oldest, Some(2), &filed),
        (oldest, Some(1), &appended),
        (newest, None, &appended),
    ] {
        let refused = store
            .events(&query(order, device, Some(token)))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, StoreError::InvalidPageToken(_)),
            "{refused}"
        );
    }
    store
        .events(&query(oldest, Some(1), Some(&filed)))
        .await
        .unwrap();
}

pub(super) async fn what_was_stored_by_the_third_schema_comes_first_and_is_found(
    engine: &TestEngine,
) {
    let store = engine.open();
    deliver(&*store, 2, NOVEMBER, 1).await;
    deliver(&*store, 1, NOVEMBER, 2).await;
    deliver(&*store, 2, DECEMBER, 3).await;
    let upload = br#"{"lckPrmtrs":{"nm":"K\u00dcche"},"battV":{"main":"5.5"}}"#;
    let upload = ConfigUpload::parse(upload).unwrap();
    store.save_config(&call(2, DECEMBER), upload).await.unwrap();
    drop(store);
    let mut connection = engine.connect(None).await;
    for change in UNDO_SCHEMA_4 {
        connection.execute(change).await.unwrap();
    }
    drop(connection);
    let known = engine.known();
    assert_eq!(known, [device(1), device(2)]);
    let store = engine.open();
    let mut follower = Follower::new(EventFilter::default(), 2);
    let before = [events_of(1, 2, 3), events_of(2, 1, 3), events_of(2, 3, 3)].concat();
    assert_eq!(follower.read(&*store).await, before);
    deliver(&*store, 1, NOVEMBER, 4).await;
    assert_eq!(follower.read(&*store).await, events_of(1, 4, 3));
    let query = DeviceQuery {
        name: "kÜch".parse().ok(),
        order: DeviceOrder::BatteryLowestFirst,
        ..DeviceQuery::default()
    };
    let found = store.devices(&query).await.unwrap().devices;
    let found: Vec<_> = found.iter().map(|record| record.device).collect();
    assert_eq!(found, [device(2)]);
    let batteries = store.summary(at(NOVEMBER)).await.unwrap().batteries;
    assert_eq!(batteries.len(), 1);
}
