//! What is delivered, and how.

use std::io::Write as _;
use std::process::{Command, Stdio};

use engage_store::{BatchLimit, Cursor};

use super::receiver::{Behaviour, TestReceiver};
use super::*;

const OCTOBER: &str = "2026-10-31T02:00:00Z";
const NOVEMBER: &str = "2026-11-01T02:00:00Z";

#[tokio::test]
async fn what_is_stored_arrives_in_order_over_months_and_kinds() {
    let store = TestStore::new();
    store.append(1, OCTOBER, 1..=130).await;
    store.append(1, NOVEMBER, 131..=133).await;
    store.append_alert(1, "2026-11-01T03:00:00Z", 134).await;
    store.append(1, "2026-11-02T02:00:00Z", 135..=136).await;
    let (receiver, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 136).await;
    delivery.stop().await;
    let id = device_id(1).to_string();
    assert_eq!(receiver.ledger()[&id], (1..=136).collect::<Vec<_>>());
    assert!(receiver.taken().iter().all(|it| it.events.len() <= 100));
}

#[tokio::test]
async fn events_go_out_byte_for_byte_as_they_are_stored() {
    let store = TestStore::new();
    store.append_alert(1, NOVEMBER, 7).await;
    let limit = BatchLimit {
        events: 9,
        bytes: 9999,
    };
    let lease = store.store.acquire(SUBSCRIBER, device_id(1)).await;
    let lease = lease.unwrap().unwrap();
    let stored = store.store.next_batch(&lease, Cursor::default(), limit);
    let stored = stored.await.unwrap().unwrap();
    let stored = String::from_utf8(stored.events[0].text.clone()).unwrap();
    let (receiver, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 1).await;
    delivery.stop().await;
    let expected = format!(
        r#"{{"device":"{}","log":"alerts","events":[{stored}]}}"#,
        device_id(1)
    );
    assert_eq!(receiver.taken()[0].body, expected.as_bytes());
}

#[cfg_attr(windows, ignore = "Windows has no openssl")]
#[tokio::test]
async fn a_delivery_is_signed_as_openssl_signs_it() {
    let store = TestStore::new();
    store.append(1, NOVEMBER, 1..=2).await;
    let (receiver, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 2).await;
    delivery.stop().await;
    let delivery = receiver.taken().remove(0);
    assert!(delivery.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"));
    assert_eq!(delivery.header("host"), format!("127.0.0.1:{port}"));
    assert_eq!(delivery.header("content-type"), "application/json");
    assert_eq!(delivery.header("x-engage-delivery").len(), 32);
    let (time, signature) = delivery
        .header("x-engage-signature")
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v1=")
        .unwrap();
    let age = Timestamp::now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age));
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt"])
        .arg(format!("key:{SECRET}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let signed = [time.as_bytes(), b".", &delivery.body].concat();
    openssl.stdin.take().unwrap().write_all(&signed).unwrap();
    let output = openssl.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.trim().rsplit(' ').next(), Some(signature));
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_when_it_comes_back() {
    let store = TestStore::new();
    for device in 0..20 {
        store.append(device, NOVEMBER, 1..=3).await;
    }
    // Bound and not listening: nobody else takes the port, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let delivery = RunningDelivery::start(&store, port);
    store.append(20, NOVEMBER, 1..=3).await;
    let receiver = TestReceiver::new(&[]);
    tokio::spawn(Arc::clone(&receiver).serve(socket.listen(64).unwrap()));
    receiver.until(|it| it.count() == 21 * 3).await;
    delivery.stop().await;
    for events in receiver.ledger().into_values() {
        assert_eq!(events, [1, 2, 3]);
    }
}

#[tokio::test]
async fn connections_are_kept_for_the_next_delivery() {
    let store = TestStore::new();
    store.append(1, NOVEMBER, 1..=500).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = TestReceiver::new(&[]);
    // Accepts one connection, and no other.
    let serving = Arc::clone(&receiver);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serving.answer_all(stream).await;
        drop(listener);
    });
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 500).await;
    delivery.stop().await;
    assert_eq!(receiver.requests(), 5);
}

#[tokio::test]
async fn after_a_stop_only_what_is_new_is_delivered() {
    let store = TestStore::new();
    store.append(1, OCTOBER, 1..=5).await;
    let (first, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    first.until(|it| it.count() == 5).await;
    delivery.stop().await;
    store.append(1, NOVEMBER, 6..=10).await;
    let (second, port) = TestReceiver::start(&[]).await;
    let delivery = RunningDelivery::start(&store, port);
    second.until(|it| it.count() == 5).await;
    // The hint alone, not the rescan.
    store.append(1, "2026-11-02T02:00:00Z", 11..=11).await;
    second.until(|it| it.count() == 6).await;
    delivery.stop().await;
    let id = device_id(1).to_string();
    assert_eq!(second.ledger()[&id], (6..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_answer_and_loses_nothing() {
    let store = TestStore::new();
    store.append(1, NOVEMBER, 1..=3).await;
    let patient = DeliveryTiming {
        answer_timeout: Duration::from_mins(10),
        ..quick()
    };
    let (receiver, port) = TestReceiver::start(&[Behaviour::Stall]).await;
    let delivery = RunningDelivery::start_with(&store, port, patient);
    receiver.until(|it| it.requests() == 1).await;
    delivery.stop().await;
    let delivery = RunningDelivery::start(&store, port);
    receiver.until(|it| it.count() == 3).await;
    delivery.stop().await;
}
