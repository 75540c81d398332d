//! Devices: page by page, by condition, and one by one.

use serde_json::Value;

use super::{DEVICE, batch, host};

fn names(page: &Value) -> Vec<String> {
    let devices = page["devices"].as_array().unwrap().iter();
    devices
        .map(|it| it["device"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn devices_are_listed_by_page_and_each_is_there_once() {
    let (host, api) = host("");
    let all: Vec<_> = (0..5).map(|it| format!("00000000000000A{it}")).collect();
    for device in &all {
        let target = format!("/swordfish/lock/audit?sn={device}");
        assert_eq!(host.call("POST", &target, batch("0B040001")).status(), 201);
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/devices?limit=2{cursor}"));
        found.extend(names(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, all);
    assert_eq!(
        names(&api.get("/v1/devices?serial=00000000000000a3")),
        [&*all[3]]
    );
    assert_eq!(
        names(&api.get("/v1/devices?seen_since=2999-01-01T00:00:00Z")),
        [""; 0]
    );
    for (query, code) in [
        ("limit=0", "malformed-limit"),
        ("limit=1001", "malformed-limit"),
        ("limit=x", "malformed-query"),
        ("cursor=x", "malformed-cursor"),
        ("serial=xyz", "malformed-query"),
        ("seen_since=yesterday", "malformed-query"),
        ("colour=red", "malformed-query"),
    ] {
        let refused = api.refused(400, "GET", &format!("/v1/devices?{query}"), "", "");
        assert_eq!(refused, code, "{query}");
    }
}

#[test]
fn behind_the_last_number_that_there_can_be_is_no_event() {
    let (_host, api) = host("");
    let events = api
        .get("/v1/events?cursor=YXBwZW5kZWQgOTIyMzM3MjAzNjg1NDc3NTgwNyA5MjIzMzcyMDM2ODU0Nzc1ODA3");
    assert_eq!(events["events"], serde_json::json!([]), "{events}");
}

#[test]
fn a_device_is_shown_with_its_upload_masked() {
    let (host, api) = host("");
    let path = format!("/v1/devices/{}", DEVICE.to_lowercase());
    assert_eq!(api.refused(404, "GET", &path, "", ""), "unknown-device");
    let upload = r#"{"config":{"deviceName":"Front door","wifiPassword":"hunter22"}}"#;
    let target = format!("/swordfish/lock/Config?sn={DEVICE}");
    let stored = host.call("PUT", &target, upload);
    assert!(stored.status() < 300, "{}", stored.head);
    let shown = api.get(&path);
    assert_eq!(shown["device"], DEVICE);
    assert!(shown["config_saved_at"].is_string(), "{shown}");
    assert!(shown["config"].is_object(), "{shown}");
    let text = shown.to_string();
    assert!(!text.contains("hunter22"), "{text}");
    assert_eq!(
        (&shown["undelivered"], &shown["quarantined"]),
        (&0.into(), &0.into())
    );
}
