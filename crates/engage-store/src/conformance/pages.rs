//! What is found, and page by page.

use std::cell::Cell;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use super::engine::TestEngine;
use super::*;
use crate::{
    Alert, ConfigUpload, DeviceObservation, DeviceQuery, EventFilter, EventKind, EventOrder,
    EventQuery, PageLimit, Store,
};

/// A device that called, with what it said and did.
async fn called(store: &dyn Store, number: u64, moment: &str, site: &str, model: &str) {
    let call = call(number, moment);
    let upload = format!(r#"{{"lckPrmtrs":{{"mdl":"{model}"}}}}"#);
    let upload = ConfigUpload::parse(upload.as_bytes()).unwrap();
    store.save_config(&call, upload).await.unwrap();
    let seen = DeviceObservation::Seen {
        address: call.peer,
        site: Some(site.to_owned()),
        is_registered: true,
    };
    let fingerprint = fingerprint(number);
    let fetched = DeviceObservation::CertificateFetched { fingerprint };
    for observation in [seen, fetched] {
        store.observe(call.device, observation, call.received_at);
    }
}

fn fingerprint(number: u64) -> String {
    vec![format!("{number:02X}"); 32].join(":")
}

async fn found(store: &dyn Store, query: DeviceQuery) -> Vec<DeviceId> {
    let page = store.devices(&query).await.unwrap();
    assert_eq!(page.next, None);
    page.devices.iter().map(|record| record.device).collect()
}

pub(super) async fn devices_are_found_by_each_condition_and_wildcards_are_letters(
    engine: &TestEngine,
) {
    let store = engine.open();
    called(&*store, 0x1A, NOVEMBER, "50%_off", "NDE80").await;
    called(&*store, 0x1B, DECEMBER, "50 off", "NDE8%").await;
    called(&*store, 0x2A, DECEMBER, "%", "nde80").await;
    // Observations are written by then.
    drop(store);
    let store = engine.open();
    let [first, second, third] = [0x1A, 0x1B, 0x2A].map(device);
    let none = DeviceQuery::default;
    let by_site = |site: &str| DeviceQuery {
        site: Some(site.to_owned()),
        ..none()
    };
    let by_model = |model: &str| DeviceQuery {
        model: Some(model.to_owned()),
        ..none()
    };
    let by_serial = |prefix: &str| DeviceQuery {
        serial: Some(prefix.parse().unwrap()),
        ..none()
    };
    let certificate = fingerprint(0x1B).try_into().ok();
    let (seen_since, not_seen_since) = (Some(at(DECEMBER)), Some(at(DECEMBER)));
    for (query, expected) in [
        (none(), &[first, second, third][..]),
        (by_serial("000000000000001"), &[first, second]),
        (by_serial("000000000000002a"), &[third]),
        (by_serial("1"), &[]),
        (by_site("50%_off"), &[first]),
        (by_site("%"), &[third]),
        (by_site("50\0off"), &[]),
        (by_model("NDE80"), &[first]),
        (by_model("NDE8_"), &[]),
        (
            DeviceQuery {
                certificate,
                ..none()
            },
            &[second],
        ),
        (
            DeviceQuery {
                seen_since,
                ..none()
            },
            &[second, third],
        ),
        (
            DeviceQuery {
                not_seen_since,
                ..none()
            },
            &[first],
        ),
        (
            DeviceQuery {
                seen_since,
                ..by_model("nde80")
            },
            &[third],
        ),
    ] {
        let asked = format!("{query:?}");
        assert_eq!(found(&*store, query).await, expected, "{asked}");
    }
    drop(store);
    let read = engine.read(move |reader| reader.devices(&by_site("%")).unwrap());
    assert_eq!(read.devices[0].model.as_deref(), Some("nde80"));
}

pub(super) async fn events_are_found_by_device_kind_and_time_in_both_orders(engine: &TestEngine) {
    let store = engine.open();
    let moments = [NOVEMBER, DECEMBER, "2026-12-01T00:00:02Z"];
    for (seed, (number, moment)) in [1, 2, 1].into_iter().zip(moments).enumerate() {
        let stored = store
            .append_audits(&call(number, moment), batch(seed, 2))
            .await;
        stored.unwrap();
    }
    let alert = Alert::parse(br#"{"event":"0B050000","time":"20261201000002"}"#).unwrap();
    store
        .append_alert(&call(2, moments[2]), alert)
        .await
        .unwrap();
    let all = EventFilter::default();
    let audits = EventFilter {
        kind: Some(EventKind::Audits),
        ..all
    };
    let of_first = EventFilter {
        device: Some(device(1)),
        ..all
    };
    let (since, until) = (Some(at(DECEMBER)), Some(at(moments[2])));
    let (by_device, newest_first) = (EventOrder::ByDevice, EventOrder::NewestFirst);
    for (filter, order, expected) in [
        (all, by_device, "1.1 1.2 1.3 1.4 2.1 2.2 2.3"),
        (all, newest_first, "2.3 1.4 1.3 2.2 2.1 1.2 1.1"),
        (audits, newest_first, "1.4 1.3 2.2 2.1 1.2 1.1"),
        (of_first, by_device, "1.1 1.2 1.3 1.4"),
        (of_first, newest_first, "1.4 1.3 1.2 1.1"),
        (
            EventFilter { since, ..audits },
            by_device,
            "1.3 1.4 2.1 2.2",
        ),
        (EventFilter { until, ..all }, by_device, "1.1 1.2 2.1 2.2"),
        (
            EventFilter {
                since,
                until,
                ..all
            },
            newest_first,
            "2.2 2.1",
        ),
        (EventFilter { since, ..of_first }, newest_first, "1.4 1.3"),
    ] {
        let query = EventQuery {
            filter,
            order,
            ..EventQuery::default()
        };
        let page = store.events(&query).await.unwrap();
        assert_eq!(page.next, None);
        let found = page.events.iter().map(|it| {
            let number = it.device.to_string();
            format!("{}.{}", number.trim_start_matches('0'), it.seq)
        });
        assert_eq!(found.collect::<Vec<_>>().join(" "), expected, "{query:?}");
    }
}

/// Memory has a bound, whatever devices send.
pub(super) async fn long_events_make_short_pages(engine: &TestEngine) {
    let store = engine.open();
    let long = "x".repeat(70_000);
    let event = format!(r#"{{"event":"1","x":"{long}"}}"#);
    let body = format!("[{}]", vec![event; 100].join(","));
    let batch = AuditBatch::parse(body.as_bytes()).unwrap();
    let stored = store.append_audits(&call(1, NOVEMBER), batch).await;
    stored.unwrap();
    let mut query = EventQuery::default();
    let first = store.events(&query).await.unwrap();
    query.after = first.next;
    let second = store.events(&query).await.unwrap();
    assert_eq!((first.events.len(), second.events.len()), (64, 36));
    assert_eq!(second.next, None);
}

/// A step of somebody who turns pages, or of a device meanwhile.
#[derive(Clone, Debug)]
enum Step {
    /// A device delivers so many events, so many minutes after the case began.
    Deliver {
        device: u64,
        minute: i64,
        events: usize,
    },
    Turn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deliver =
        (0..12_u64, 0..50_i64, 1..4_usize).prop_map(|(device, minute, events)| Step::Deliver {
            device,
            minute,
            events,
        });
    prop::collection::vec(prop_oneof![deliver, Just(Step::Turn)], 1..24)
}

/// Whatever is added meanwhile, each page is what follows the last row of the page before.
pub(super) async fn pages_are_the_sorted_set_whatever_is_added_between_them(engine: &TestEngine) {
    let runtime = Handle::current();
    let cases = || {
        let number = Cell::new(0);
        let mut runner = TestRunner::new(Config::with_cases(24));
        runner.run(&(steps(), 1..6_u64), |(steps, limit)| {
            // Each case has devices and an hour of its own: a database for each would take too long.
            number.set(number.get() + 1);
            let store = engine.open();
            let case = Case::new(number.get(), PageLimit::clamped(limit));
            runtime.block_on(case.run(&*store, steps))
        })
    };
    std::thread::scope(|scope| scope.spawn(cases).join().unwrap()).unwrap();
}

/// What is in the store, and how far three readers have come.
struct Case {
    first_device: u64,
    begin: Timestamp,
    stored: Vec<Row>,
    devices: DeviceQuery,
    found_devices: Vec<DeviceId>,
    events: [EventQuery; 3],
    found_events: [Vec<Row>; 3],
}

/// When it was filed, whose it is, and its number.
type Row = (Timestamp, DeviceId, i64);

impl Case {
    fn new(number: u64, limit: PageLimit) -> Self {
        let first_device = number << 8;
        let begin = at(NOVEMBER) + SignedDuration::from_hours(number.cast_signed());
        let filter = EventFilter {
            kind: Some(EventKind::Audits),
            since: Some(begin),
            until: Some(begin + SignedDuration::from_hours(1)),
            device: None,
            code: None,
        };
        let events = |order, device| EventQuery {
            filter: EventFilter { device, ..filter },
            order,
            limit,
            after: None,
        };
        let prefix = device(first_device).to_string();
        Self {
            first_device,
            begin,
            stored: Vec::new(),
            devices: DeviceQuery {
                serial: prefix[..14].parse().ok(),
                limit,
                ..DeviceQuery::default()
            },
            found_devices: Vec::new(),
            events: [
                events(EventOrder::ByDevice, None),
                events(EventOrder::NewestFirst, None),
                events(EventOrder::NewestFirst, Some(device(first_device))),
            ],
            found_events: Default::default(),
        }
    }

    async fn run(mut self, store: &dyn Store, steps: Vec<Step>) -> Result<(), TestCaseError> {
        for step in steps {
            match step {
                Step::Deliver {
                    device,
                    minute,
                    events,
                } => {
                    self.deliver(store, device, minute, events).await;
                }
                Step::Turn => self.turn(store).await?,
            }
        }
        // At the end nothing is missing that lies ahead of each reader.
        for _ in 0..100 {
            self.turn(store).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, store: &dyn Store, number: u64, minute: i64, events: usize) {
        let received = self.begin + SignedDuration::from_mins(minute);
        let call = Call {
            is_authenticated: true,
            ..call(self.first_device + number, &received.to_string())
        };
        let seed = self.stored.len() + 1;
        store
            .append_audits(&call, batch(seed, events))
            .await
            .unwrap();
        let of_device = |rows: &[Row]| rows.iter().copied().rfind(|row| row.1 == call.device);
        for _ in 0..events {
            let (filed, seq) = of_device(&self.stored).map_or((received, 1), |(filed, _, seq)| {
                (filed.max(received), seq + 1)
            });
            self.stored.push((filed, call.device, seq));
        }
    }

    /// Turns one page for each reader.
    async fn turn(&mut self, store: &dyn Store) -> Result<(), TestCaseError> {
        let mut devices: Vec<_> = self.stored.iter().map(|row| row.1).collect();
        devices.sort_by_key(ToString::to_string);
        devices.dedup();
        let last = self.found_devices.last().map(ToString::to_string);
        devices.retain(|it| last.as_ref().is_none_or(|last| it.to_string() > *last));
        let page = store.devices(&self.devices).await.unwrap();
        let found: Vec<_> = page.devices.iter().map(|it| it.device).collect();
        let limit = self.devices.limit.rows();
        prop_assert_eq!(&found, &devices[..limit.min(devices.len())]);
        prop_assert_eq!(page.next.is_some(), devices.len() > limit);
        if let Some(next) = page.next {
            self.found_devices = found;
            // As it is handed to somebody and back.
            self.devices.after = Some(next.to_string().parse().unwrap());
        }
        for (query, found) in self.events.iter_mut().zip(&mut self.found_events) {
            turn_events(store, query, &self.stored, found).await?;
        }
        Ok(())
    }
}

async fn turn_events(
    store: &dyn Store,
    query: &mut EventQuery,
    stored: &[Row],
    found: &mut Vec<Row>,
) -> Result<(), TestCaseError> {
    let is_by_device = query.order == EventOrder::ByDevice;
    let key = |row: &Row| {
        let filed = Some(row.0).filter(|_| !is_by_device);
        (filed, row.1.to_string(), row.2)
    };
    let mut rows = stored.to_vec();
    rows.retain(|row| query.filter.device.is_none_or(|device| row.1 == device));
    rows.retain(|row| {
        let last = found.last().map(key);
        last.is_none_or(|last| (key(row) > last) == is_by_device && key(row) != last)
    });
    rows.sort_by_key(key);
    if !is_by_device {
        rows.reverse();
    }
    let page = store.events(query).await.unwrap();
    let seen: Vec<_> = page.events.iter().map(|it| (it.device, it.seq)).collect();
    let limit = query.limit.rows();
    let expected: Vec<_> = rows.iter().take(limit).map(|row| (row.1, row.2)).collect();
    prop_assert_eq!(seen, expected);
    prop_assert_eq!(page.next.is_some(), rows.len() > limit);
    if let Some(next) = page.next {
        found.extend(&rows[..limit]);
        query.after = Some(next.to_string().parse().unwrap());
    }
    Ok(())
}
