//! Devices in each order, and found by the name of their door.

use super::engine::TestEngine;
use super::*;
use crate::{
    ConfigUpload, DeviceObservation, DeviceOrder, DeviceQuery, InvalidPageToken, PageLimit, Store,
    StoreError,
};

/// A device that said what its door is called and what its battery has.
async fn called(store: &dyn Store, number: u64, moment: &str, name: &str, battery: &str) {
    let call = call(number, moment);
    let upload = format!(r#"{{"lckPrmtrs":{{"nm":"{name}"}},"battV":{{"main":"{battery}"}}}}"#);
    let upload = ConfigUpload::parse(upload.as_bytes()).unwrap();
    store.save_config(&call, upload).await.unwrap();
}

/// The numbers of all devices, page by page.
async fn paged(store: &dyn Store, mut query: DeviceQuery) -> Vec<DeviceId> {
    query.limit = PageLimit::clamped(2);
    let mut found = Vec::new();
    loop {
        let page = store.devices(&query).await.unwrap();
        assert!(page.devices.len() <= 2);
        found.extend(page.devices.iter().map(|record| record.device));
        let Some(next) = page.next else { return found };
        // As it is written into an address.
        query.after = Some(next.to_string().parse().unwrap());
    }
}

async fn fill(store: &dyn Store) {
    for (number, moment, name, battery) in [
        (1, DECEMBER, "Kitchen", "6.1"),
        (2, NOVEMBER, "back Door", "5.95"),
        (3, DECEMBER, "Front Door 50%", "low"),
        (4, "2026-11-30T00:00:00Z", "Café", "10.2"),
        (0xCAFE, NOVEMBER, "Attic", "6.1"),
    ] {
        called(store, number, moment, name, battery).await;
    }
    let stored = store.append_audits(&call(5, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
}

pub(super) async fn devices_are_paged_through_in_each_order(engine: &TestEngine) {
    let store = engine.open();
    fill(&*store).await;
    for (order, expected) in [
        (DeviceOrder::Name, [1, 2, 3, 4, 5, 0xCAFE]),
        (DeviceOrder::DoorName, [5, 0xCAFE, 2, 4, 3, 1]),
        (DeviceOrder::LastSeenNewestFirst, [3, 1, 4, 0xCAFE, 5, 2]),
        (DeviceOrder::LastSeenOldestFirst, [2, 5, 0xCAFE, 4, 1, 3]),
        (DeviceOrder::BatteryLowestFirst, [2, 1, 0xCAFE, 4, 3, 5]),
    ] {
        let query = DeviceQuery {
            order,
            ..DeviceQuery::default()
        };
        let found = paged(&*store, query.clone()).await;
        assert_eq!(found, expected.map(device), "{order}");
        let read = engine.read(|reader| reader.devices(&query).unwrap());
        let read: Vec<_> = read.devices.iter().map(|record| record.device).collect();
        assert_eq!(read, expected.map(device), "{order}");
        assert_eq!(DeviceOrder::parse(order.as_str()), Some(order));
    }
}

pub(super) async fn a_page_token_of_another_order_is_refused(engine: &TestEngine) {
    let store = engine.open();
    fill(&*store).await;
    let query = |order| DeviceQuery {
        order,
        limit: PageLimit::clamped(1),
        ..DeviceQuery::default()
    };
    for order in DeviceOrder::ALL {
        let next = store.devices(&query(order)).await.unwrap().next;
        for other in DeviceOrder::ALL.into_iter().filter(|it| *it != order) {
            let query = DeviceQuery {
                after: next.clone(),
                ..query(other)
            };
            let refused = store.devices(&query).await.unwrap_err();
            assert!(
                matches!(refused, StoreError::InvalidPageToken(InvalidPageToken)),
                "{order} {other}: {refused}"
            );
            engine.read(|reader| reader.devices(&query).unwrap_err());
        }
    }
}

pub(super) async fn devices_are_found_by_a_part_of_their_doors_name_in_each_order(
    engine: &TestEngine,
) {
    let store = engine.open();
    fill(&*store).await;
    let name = |text: &str| DeviceQuery {
        name: Some(text.parse().unwrap()),
        ..DeviceQuery::default()
    };
    let search = |text: &str| DeviceQuery {
        search: Some(text.parse().unwrap()),
        ..DeviceQuery::default()
    };
    for order in DeviceOrder::ALL {
        for (query, expected) in [
            (name("DOOR"), &[2, 3][..]),
            (name("CAFÉ"), &[4]),
            (name("caf"), &[4]),
            (name("0%"), &[3]),
            (name("%"), &[3]),
            (name("_"), &[]),
            (name("!"), &[]),
            (name("000"), &[]),
            (search("000000000000cafe"), &[0xCAFE]),
            (search("0000000000000"), &[1, 2, 3, 4, 5]),
            (search("itch"), &[1]),
        ] {
            let asked = format!("{query:?}");
            let mut found = paged(&*store, DeviceQuery { order, ..query }).await;
            found.sort();
            let expected: Vec<_> = expected.iter().map(|number| device(*number)).collect();
            assert_eq!(found, expected, "{order} {asked}");
        }
    }
    // With another condition beside it.
    let since = DeviceQuery {
        seen_since: Some(at(DECEMBER)),
        ..name("door")
    };
    assert_eq!(paged(&*store, since).await, [device(3)]);
}

/// What is sorted by follows what is shown.
pub(super) async fn a_door_that_is_called_otherwise_is_found_by_its_new_name(engine: &TestEngine) {
    let store = engine.open();
    called(&*store, 1, NOVEMBER, "Kitchen", "6.1").await;
    called(&*store, 2, NOVEMBER, "Attic", "6.0").await;
    called(&*store, 1, DECEMBER, "Annex", "5.9").await;
    let seen = DeviceObservation::AuditsStored;
    store.observe(device(1), seen, at(DECEMBER));
    drop(store);
    let store = engine.open();
    let query = |order| DeviceQuery {
        order,
        ..DeviceQuery::default()
    };
    for order in [DeviceOrder::DoorName, DeviceOrder::BatteryLowestFirst] {
        let found = paged(&*store, query(order)).await;
        assert_eq!(found, [device(1), device(2)], "{order}");
    }
    let old = DeviceQuery {
        name: Some("kitchen".parse().unwrap()),
        ..DeviceQuery::default()
    };
    assert_eq!(paged(&*store, old).await, []);
}
