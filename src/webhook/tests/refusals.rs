//! A receiver that does not take some events.

use engage_store::StoreReader;

use super::receiver::TestReceiver;
use super::*;

const AT: &str = "2026-11-01T02:00:00Z";

#[tokio::test]
async fn a_refused_device_does_not_delay_others() {
    let store = TestStore::new();
    for device in 1..=12 {
        store.append(device, AT, 1..=120).await;
    }
    let (receiver, port) = TestReceiver::start(&[]).await;
    let refused = device_id(1).to_string();
    receiver.refuse(move |it| (it.device == refused).then_some(403));
    let delivery = RunningDelivery::start_with(&store, port, with_first_delay(3600));
    receiver.until(|it| it.count() == 11 * 120).await;
    delivery.stop().await;
}

/// Forty devices that somebody invented: the honest one does not notice.
#[tokio::test]
async fn no_number_of_refused_devices_delays_an_honest_one() {
    let store = TestStore::new();
    for device in 1..=40 {
        store.append(device, AT, 1..=1).await;
    }
    let (receiver, port) = TestReceiver::start(&[]).await;
    let honest = device_id(1000).to_string();
    let is_honest = honest.clone();
    receiver.refuse(move |it| (it.device != is_honest).then_some(400));
    let delivery = RunningDelivery::start_with(&store, port, with_first_delay(3600));
    receiver.until(|it| it.requests() == 40).await;
    store.append(1000, AT, 1..=3).await;
    receiver.until(|it| it.count() == 3).await;
    delivery.stop().await;
    assert_eq!(receiver.requests(), 41);
    assert_eq!(receiver.ledger()[&honest], [1, 2, 3]);
}

#[tokio::test]
async fn an_event_that_is_refused_again_and_again_is_set_aside_and_its_device_goes_on() {
    let store = TestStore::new();
    store.append(1, AT, 1..=250).await;
    let (receiver, port) = TestReceiver::start(&[]).await;
    receiver.refuse(|it| it.events.contains(&77).then_some(422));
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 249).await;
    delivery.stop().await;
    let id = device_id(1).to_string();
    let others: Vec<_> = (1..=250).filter(|event| *event != 77).collect();
    assert_eq!(receiver.ledger()[&id], others);
    let undelivered = undelivered(&store);
    assert_eq!(
        undelivered,
        ["0000004D: it answered 422 Unprocessable Entity, 8 times"]
    );
    // And for good: nothing of it is tried again after a restart.
    let requests = receiver.requests();
    let delivery = RunningDelivery::start(&store, port);
    store.append(1, AT, 251..=251).await;
    receiver.until(|it| it.count() == 250).await;
    delivery.stop().await;
    assert_eq!(receiver.requests(), requests + 1);
}

/// Another secret, another path: nothing of that is about an event.
#[tokio::test]
async fn a_receiver_that_takes_nothing_of_anybody_loses_nothing() {
    let store = TestStore::new();
    for device in 1..=3 {
        store.append(device, AT, 1..=2).await;
    }
    let (receiver, port) = TestReceiver::start(&[]).await;
    receiver.refuse(|_| Some(401));
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.requests() >= 150).await;
    assert!(undelivered(&store).is_empty());
    receiver.refuse(|_| None);
    receiver.until(|it| it.count() == 6).await;
    delivery.stop().await;
}

#[tokio::test]
async fn an_event_of_which_the_answer_says_nothing_is_set_aside_once_others_are_taken() {
    let store = TestStore::new();
    store.append(1, AT, 1..=2).await;
    let (receiver, port) = TestReceiver::start(&[]).await;
    let refused = device_id(1).to_string();
    receiver.refuse(move |it| (it.device == refused && it.events.contains(&1)).then_some(500));
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.requests() >= 30).await;
    assert!(undelivered(&store).is_empty());
    store.append(2, AT, 1..=200).await;
    receiver.until(|it| it.count() == 201).await;
    delivery.stop().await;
    let undelivered = undelivered(&store);
    let expected = "00000001: it answered 500 Internal Server Error, ";
    assert_eq!(undelivered.len(), 1);
    assert!(undelivered[0].starts_with(expected), "{undelivered:?}");
}

fn undelivered(store: &TestStore) -> Vec<String> {
    let read = || {
        let reader = StoreReader::open(&store.options).unwrap();
        let found = reader.undelivered(SUBSCRIBER, None).unwrap().into_iter();
        let events = found.flat_map(|(_, undelivered)| undelivered.events);
        events
            .map(|it| format!("{}: {}", it.event.code.unwrap(), it.reason))
            .collect()
    };
    // A reader blocks, which a task must not.
    std::thread::scope(|scope| scope.spawn(read).join().unwrap())
}

fn with_first_delay(seconds: u64) -> DeliveryTiming {
    DeliveryTiming {
        first_delay: Duration::from_secs(seconds),
        max_delay: Duration::from_secs(2 * seconds),
        ..quick()
    }
}
