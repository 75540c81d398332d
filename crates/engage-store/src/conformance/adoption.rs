//! Who has which trust anchor.

use std::net::IpAddr;
use std::time::Duration;

use engage_wire::pki::Fingerprint;
use jiff::SignedDuration;

use super::engine::TestEngine;
use super::*;
use crate::{
    AddressEvidence, Adopted, Adoption, AdoptionQuery, DeviceObservation, Evidence, PageLimit,
    Seen, Sighting, Store,
};

fn fingerprint(byte: u8) -> Fingerprint {
    format!("{byte:02X}").repeat(32).parse().unwrap()
}

fn seconds(second: i64) -> Timestamp {
    at(NOVEMBER) + SignedDuration::from_secs(second)
}

fn sighting(who: DeviceId, peer: &str, seen: Seen, second: i64) -> Sighting {
    Sighting {
        who,
        peer: peer.parse().unwrap(),
        site: None,
        seen,
        at: seconds(second),
    }
}

fn of_address(peer: &str, seen: Seen, second: i64) -> Sighting {
    sighting(DeviceId::Address(peer.parse().unwrap()), peer, seen, second)
}

fn told(byte: u8) -> Seen {
    let anchor = fingerprint(byte);
    Seen::Told { anchor }
}

fn fetched(byte: u8) -> Seen {
    let certificate = fingerprint(byte);
    Seen::Fetched { certificate }
}

fn verified(byte: u8) -> Seen {
    let anchor = fingerprint(byte);
    Seen::Verified { anchor }
}

fn failed(byte: u8, reason: &'static str) -> Seen {
    let anchor = fingerprint(byte);
    Seen::Failed { anchor, reason }
}

fn evidence(byte: u8, second: i64) -> Evidence {
    Evidence {
        fingerprint: fingerprint(byte),
        at: seconds(second),
    }
}

/// What was seen of addresses, once there is so much of it.
async fn stored(store: &dyn Store, addresses: usize) -> Vec<AddressEvidence> {
    let found = async {
        loop {
            let found = store.evidence_since(Timestamp::UNIX_EPOCH).await.unwrap();
            if found.len() >= addresses {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), found).await;
    found.expect("it is written within seconds")
}

async fn devices(store: &dyn Store) -> Vec<Adoption> {
    store
        .adoption(&AdoptionQuery::default())
        .await
        .unwrap()
        .devices
}

/// The same at each host, and again after what was lost was sent again.
pub(super) async fn of_each_kind_the_newest_counts_in_whatever_order_hosts_see_it(
    engine: &TestEngine,
) {
    let all = [
        (told(1), 1),
        (fetched(1), 2),
        (verified(1), 3),
        (told(2), 11),
        (failed(2, "unknown_ca"), 12),
        (fetched(2), 13),
        (failed(1, "bad_certificate"), 14),
        (verified(2), 15),
    ];
    let expected = Adopted {
        told: Some(evidence(2, 11)),
        fetched: Some(evidence(2, 13)),
        verified: Some(evidence(2, 15)),
        failed: Some(evidence(1, 14)),
        failure: Some("bad_certificate".into()),
    };
    let orders: [Vec<usize>; 3] = [
        (0..8).collect(),
        (0..8).rev().collect(),
        vec![5, 0, 7, 2, 7, 6, 1, 4, 3, 0, 5],
    ];
    for (number, order) in orders.iter().enumerate() {
        let device = device(number as u64);
        let peer = format!("10.44.0.{number}");
        // Each store writes what it has seen when it ends.
        for half in order.chunks(4) {
            let store = engine.open();
            for at in half {
                let (seen, second) = all[*at];
                store.sighted(sighting(device, &peer, seen, second));
                store.sighted(of_address(&peer, seen, second));
            }
        }
        let store = engine.open();
        let called = Call {
            peer: peer.parse().unwrap(),
            ..call(number as u64, NOVEMBER)
        };
        store
            .append_audits(&called, batch(number, 1))
            .await
            .unwrap();
    }
    let store = engine.open();
    let found = devices(&*store).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|it| it.adopted == expected), "{found:#?}");
    let found = stored(&*store, 3).await;
    assert_eq!(found.len(), 3);
    for found in found {
        let AddressEvidence {
            told,
            fetched,
            verified,
            failed,
            devices,
            ..
        } = found;
        let Adopted {
            told: of_told,
            fetched: of_fetched,
            verified: of_verified,
            failed: of_failed,
            ..
        } = expected;
        assert_eq!((told, fetched), (of_told, of_fetched));
        assert_eq!((verified, failed), (of_verified, of_failed));
        // Long ago, by the clock of now.
        assert!(devices <= 1);
    }
}

pub(super) async fn an_address_that_many_serial_numbers_share_says_nothing_of_one_of_them(
    engine: &TestEngine,
) {
    let now = Timestamp::now();
    let (nat, alone) = ("10.44.0.1", "10.44.0.2");
    let store = engine.open();
    let seen = |who, peer: &str, seen| Sighting {
        at: now,
        ..sighting(who, peer, seen, 0)
    };
    for (number, peer) in [(1, nat), (2, nat), (3, nat), (4, alone)] {
        store.sighted(seen(device(number), peer, told(1)));
        let called = Call {
            peer: peer.parse().unwrap(),
            received_at: now,
            ..call(number, NOVEMBER)
        };
        let seed = usize::try_from(number).unwrap();
        store.append_audits(&called, batch(seed, 1)).await.unwrap();
    }
    for peer in [nat, alone] {
        let address = DeviceId::Address(peer.parse().unwrap());
        store.sighted(seen(address, peer, verified(2)));
    }
    let mut found = stored(&*store, 2).await;
    found.sort_by_key(|it| it.address);
    let found: Vec<_> = found.iter().map(|it| (it.address, it.devices)).collect();
    let of = |peer: &str| peer.parse::<IpAddr>().unwrap();
    assert_eq!(found, [(of(nat), 3), (of(alone), 1)]);
    let found = devices(&*store).await;
    let found = found.iter();
    let found: Vec<_> = found
        .map(|it| (it.is_shared, it.adopted.verified.is_some()))
        .collect();
    let shared = (true, false);
    assert_eq!(found, [shared, shared, shared, (false, true)]);
}

/// Serial numbers are public.
pub(super) async fn a_fetch_in_a_devices_name_counts_where_it_came_from_the_devices_address(
    engine: &TestEngine,
) {
    let store = engine.open();
    let fetch = |number, peer: &str, second| {
        store.sighted(sighting(device(number), peer, fetched(2), second));
        store.sighted(of_address(peer, fetched(2), second));
    };
    for (number, peer) in [(1, "10.44.0.1"), (2, "10.44.0.2")] {
        store.sighted(of_address(peer, verified(1), 1));
        let called = Call {
            peer: peer.parse().unwrap(),
            ..call(number, NOVEMBER)
        };
        let seed = usize::try_from(number).unwrap();
        store.append_audits(&called, batch(seed, 1)).await.unwrap();
        let seen = DeviceObservation::Seen {
            address: called.peer,
            site: None,
            is_registered: false,
        };
        store.observe(called.device, seen, called.received_at);
        fetch(number, "10.44.0.9", 10);
    }
    fetch(2, "10.44.0.2", 20);
    stored(&*store, 3).await;
    drop(store);
    let found = devices(&*engine.open()).await;
    let address = |number: usize| found[number].address.map(|it| it.to_string());
    assert_eq!(address(0).as_deref(), Some("10.44.0.1"));
    let adopted = |number: usize| (found[number].is_shared, &found[number].adopted);
    let expected = |fetched| Adopted {
        fetched,
        verified: Some(evidence(1, 1)),
        ..Adopted::default()
    };
    assert_eq!(adopted(0), (false, &expected(None)));
    assert_eq!(adopted(1), (false, &expected(Some(evidence(2, 20)))));
}

pub(super) async fn devices_are_paged_through_and_only_those_that_were_seen_since(
    engine: &TestEngine,
) {
    let store = engine.open();
    for number in 0..5 {
        let moment = if number == 2 { NOVEMBER } else { DECEMBER };
        let seed = usize::try_from(number).unwrap();
        let called = call(number, moment);
        store.append_audits(&called, batch(seed, 1)).await.unwrap();
    }
    let mut query = AdoptionQuery {
        seen_since: Some(at(DECEMBER)),
        limit: PageLimit::clamped(2),
        ..AdoptionQuery::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = store.adoption(&query).await.unwrap();
        let page_devices = page.devices.iter().map(|it| it.device);
        pages.push(page_devices.collect::<Vec<_>>());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let expected = [vec![device(0), device(1)], vec![device(3), device(4)]];
    assert_eq!(pages, expected);
    for (number, expected) in [(2, &[][..]), (3, &[device(3)])] {
        let query = AdoptionQuery {
            device: Some(device(number)),
            ..query.clone()
        };
        let page = store.adoption(&query).await.unwrap();
        let found: Vec<_> = page.devices.iter().map(|it| it.device).collect();
        assert_eq!(found, expected);
    }
    assert_eq!(
        engine.read(|it| it.adoption(&query).unwrap()).devices.len(),
        2
    );
}

pub(super) async fn what_is_stored_later_is_found_by_when_it_was_stored(engine: &TestEngine) {
    let store = engine.open();
    store.sighted(of_address("10.44.0.1", verified(1), 100));
    let first = stored(&*store, 1).await[0].stored_at;
    // Seen before the first, and stored behind it.
    store.sighted(of_address("10.44.0.2", verified(1), 1));
    stored(&*store, 2).await;
    let since = first + SignedDuration::from_micros(1);
    let found = store.evidence_since(since).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(found, ["10.44.0.2"]);
}
