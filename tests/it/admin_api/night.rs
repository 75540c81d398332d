//! An integrator's night: access rights in, events out.

use std::io::{BufRead, BufReader, Write};

use serde_json::Value;

use super::{DATABASE, batch, host};
use crate::harness::connect;

/// The texts of events with whose they are, in their order.
fn told(page: &Value) -> Vec<(String, String)> {
    let events = page["events"].as_array().unwrap().iter();
    let told = events.map(|it| (it["device"].clone(), it["event"]["code"].clone()));
    told.map(|(device, code)| {
        (
            device.as_str().unwrap().into(),
            code.as_str().unwrap().into(),
        )
    })
    .collect()
}

#[test]
fn rights_go_in_a_lock_calls_and_its_events_come_once_by_cursor_and_by_stream() {
    let (host, api) = host("");
    let locks: Vec<_> = (0..3).map(|it| format!("00000000000000B{it}")).collect();
    // Before any of them has called.
    for lock in &locks {
        api.expect(
            200,
            "PUT",
            &format!("/v1/devices/{lock}/database"),
            "",
            DATABASE,
        );
    }
    let mut stream = connect(api.address);
    let head = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        api.address, api.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut streamed = BufReader::new(stream).lines().map(Result::unwrap);
    let mut expected = Vec::new();
    let mut by_cursor = Vec::new();
    let mut cursor = String::new();
    for night in 1..=3 {
        for lock in &locks {
            let code = format!("0B04000{night}");
            let target = format!("/swordfish/lock/audit?sn={lock}");
            let stored = host.call("POST", &target, batch(&code));
            assert!([201, 202].contains(&stored.status()), "{}", stored.head);
            // Sent again, as a lock does whose answer was lost.
            assert_eq!(host.call("POST", &target, batch(&code)).status(), 202);
            let database = host.call("GET", &format!("/swordfish/lock/db/0?sn={lock}"), "");
            assert!(String::from_utf8_lossy(&database.body).contains("735B174C"));
            expected.push((lock.clone(), code));
        }
        loop {
            let page = api.get(&format!("/v1/events?limit=2{cursor}"));
            let events = told(&page);
            let is_end = events.is_empty();
            by_cursor.extend(events);
            if let Some(next) = page["next"].as_str() {
                cursor = format!("&cursor={next}");
            }
            if is_end {
                break;
            }
        }
        assert_eq!(by_cursor, expected, "night {night}");
    }
    let mut by_stream = Vec::new();
    while by_stream.len() < expected.len() {
        let line = streamed.next().unwrap();
        if let Some(data) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(data).unwrap();
            let page = serde_json::json!({ "events": [event] });
            by_stream.extend(told(&page));
        }
    }
    assert_eq!(by_stream, expected);
    let newest = api.get("/v1/events?order=newest&limit=1");
    assert_eq!(told(&newest), expected[expected.len() - 1..]);
    let of_one = api.get(&format!("/v1/events?device={}", locks[1]));
    assert_eq!(told(&of_one).len(), 3);
}

#[test]
fn who_waits_is_answered_with_the_event() {
    let (host, api) = host("");
    let device = super::DEVICE;
    let waiting = std::thread::spawn(move || {
        let page = api.get("/v1/events?wait=30");
        (api, page)
    });
    let target = format!("/swordfish/lock/alert?sn={device}");
    let alert = r#"{"event":"0B040001","time":"20261123021259"}"#;
    let stored = host.call("POST", &target, alert);
    assert!(stored.status() < 300, "{}", stored.head);
    let (api, page) = waiting.join().unwrap();
    assert_eq!(told(&page), [(device.to_owned(), "0B040001".to_owned())]);
    let next = page["next"].as_str().unwrap();
    let empty = api.get(&format!("/v1/events?wait=1&cursor={next}"));
    assert_eq!(
        (told(&empty).len(), empty["next"].as_str()),
        (0, Some(next))
    );
    assert_eq!(
        api.refused(400, "GET", "/v1/events?wait=31", "", ""),
        "malformed-wait"
    );
}
