//! Nothing is lost or overtaken, whatever fails and whatever the clock says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::receiver::{Behaviour, TestReceiver};
use super::*;

const NOVEMBER: &str = "2026-11-01T02:00:00Z";

/// The clock was 30 s fast over the turn of a month, and was put right.
#[tokio::test]
async fn a_clock_that_steps_back_over_a_months_end_hides_no_event() {
    let store = TestStore::new();
    let (receiver, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    let moments = [
        "2026-11-30T23:50:00Z",
        "2026-12-01T00:00:20Z",
        "2026-11-30T23:59:50Z",
        "2026-12-01T00:01:00Z",
    ];
    for (event, at) in (1..).zip(moments) {
        store.append(1, at, event..=event).await;
        receiver.until(|it| it.count() >= event as usize).await;
    }
    delivery.stop().await;
    let id = device_id(1).to_string();
    assert_eq!(receiver.ledger()[&id], [1, 2, 3, 4]);
}

/// As above, while the receiver is down: all wait together.
#[tokio::test]
async fn events_go_out_in_the_order_in_which_they_were_stored_and_not_of_their_clock() {
    let store = TestStore::new();
    for (event, at) in [
        (1, "2026-12-01T00:00:20Z"),
        (2, "2026-11-30T23:59:50Z"),
        (3, "2027-12-01T00:00:00Z"),
        (4, "2026-12-01T00:01:00Z"),
    ] {
        store.append(1, at, event..=event).await;
    }
    let (receiver, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 4).await;
    delivery.stop().await;
    let id = device_id(1).to_string();
    assert_eq!(receiver.ledger()[&id], [1, 2, 3, 4]);
}

#[tokio::test]
async fn whatever_the_receiver_does_nothing_is_lost_or_overtaken() {
    let store = TestStore::new();
    store.append(1, NOVEMBER, 1..=250).await;
    let behaviour = [
        Behaviour::Answer(500),
        Behaviour::Answer(301),
        Behaviour::Answer(429),
        Behaviour::Answer(410),
        Behaviour::Close,
        Behaviour::Stall,
        Behaviour::TakeAndClose,
        Behaviour::Take,
        Behaviour::Answer(503),
    ];
    let (receiver, port) = TestReceiver::start(&behaviour).await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 250).await;
    delivery.stop().await;
    let id = device_id(1).to_string();
    assert_eq!(receiver.ledger()[&id], (1..=250).collect::<Vec<_>>());
    assert!(receiver.behaviour.lock().is_empty());
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        6 => Just(Behaviour::Take),
        1 => Just(Behaviour::TakeAndClose),
        1 => Just(Behaviour::Close),
        1 => prop::sample::select(vec![301, 404, 429, 500, 503]).prop_map(Behaviour::Answer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_event_arrives_in_order_through_failures_and_kills(
        sizes in prop::collection::vec(prop::collection::vec(1_u32..130, 1..3), 1..6),
        behaviour in prop::collection::vec(behaviour(), 0..30),
        kills in prop::collection::vec(1_usize..8, 0..4),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (found, expected) = runtime.block_on(delivered(&sizes, &behaviour, &kills));
        prop_assert_eq!(found, expected);
    }
}

type Ledger = BTreeMap<String, Vec<u32>>;

/// What arrives and what should, with the delivery killed after so many requests each time.
async fn delivered(
    sizes: &[Vec<u32>],
    behaviour: &[Behaviour],
    kills: &[usize],
) -> (Ledger, Ledger) {
    let store = TestStore::new();
    let mut expected = Ledger::new();
    for (device, batches) in (1..).zip(sizes) {
        let mut stored = 0;
        for size in batches {
            store
                .append(device, NOVEMBER, stored + 1..=stored + size)
                .await;
            stored += size;
        }
        expected.insert(device_id(device).to_string(), (1..=stored).collect());
    }
    let (receiver, port) = TestReceiver::start(behaviour).await;
    let total: u32 = sizes.iter().flatten().sum();
    let is_done = |receiver: &TestReceiver| receiver.count() == total as usize;
    for requests in kills {
        let delivery = RunningDelivery::start(&store, port);
        let before = receiver.requests();
        receiver
            .until(|it| is_done(it) || it.requests() >= before + requests)
            .await;
        delivery.kill().await;
    }
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(is_done).await;
    delivery.stop().await;
    (receiver.ledger(), expected)
}
