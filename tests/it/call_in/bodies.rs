//! What devices send, in every shape: stored as it arrived, or kept in quarantine.

use serde_json::{Value, json};

use super::{ALERT, AUDIT, CONFIG, DEVICE, of_device};
use crate::harness::{Host, Response, wire_text};

pub(super) const BATCH: &str = r#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}],"nxtDbVerTS":"0x8d1a1399bddb51d"}"#;

pub(super) fn post(host: &Host, body: impl AsRef<[u8]>) -> Response {
    host.call("POST", &of_device(AUDIT), body)
}

/// A member of every stored audit of the device.
pub(super) fn members(host: &Host, name: &str) -> Vec<Value> {
    let audits = host.audits(DEVICE);
    audits.iter().map(|line| line[name].clone()).collect()
}

/// The one body in quarantine, with its device and its kind.
pub(super) fn quarantined(host: &Host) -> (String, String, Vec<u8>) {
    let mut bodies = host.installation.quarantined();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    bodies.remove(0)
}

#[test]
fn the_first_audits_are_created_and_later_ones_accepted() {
    let host = Host::start("");
    let first = post(&host, BATCH);
    let text = |answer: &Response| wire_text(format!("{}\r\n", answer.head).as_bytes());
    assert_eq!(
        text(&first),
        "HTTP/1.1 201 Created\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\nDate: [date]\\r\\n\\r\\n"
            .replace("\\r\\n", "\\r\\n\n")
    );
    assert_eq!(first.body, b"");
    let second = post(&host, BATCH.replace("20051013130309", "20051013130310"));
    assert_eq!(
        text(&second),
        text(&first).replace("201 Created", "202 Accepted")
    );
    assert_eq!(second.body, b"");
    assert_eq!(members(&host, "time"), ["20051013130309", "20051013130310"]);
}

#[test]
fn a_batch_that_arrives_twice_is_acknowledged_and_stored_once() {
    let host = Host::start("");
    assert_eq!(post(&host, BATCH).status(), 201);
    assert_eq!(post(&host, BATCH).status(), 202);
    // White space is no other batch, and neither is another process.
    let host = host.restart();
    assert_eq!(post(&host, BATCH.replace(':', ": ")).status(), 202);
    assert_eq!(members(&host, "event"), ["11111111"]);
    let other = host.call("POST", &format!("{AUDIT}?sn=00000000000000ff"), BATCH);
    assert_eq!(other.status(), 201, "another device's is its own");
}

#[test]
fn numbers_for_strings_trailing_commas_and_unknown_members_are_stored_as_they_arrived() {
    let host = Host::start("");
    let body = r#"{"fw":"x", "asyncEvents":[{"event":6010002,"time":20051013130309,"door":[1,],},
        {"event":"B040001","time":"never"},], "nxtDbVerTS":123,}"#;
    assert_eq!(post(&host, body).status(), 201);
    let audits = host.audits(DEVICE);
    assert_eq!(audits.len(), 2);
    assert_eq!(audits[0]["event"], json!(6_010_002));
    assert_eq!(audits[0]["time"], json!(20_051_013_130_309_u64));
    assert_eq!(audits[0]["code"], "06010002");
    assert_eq!(audits[0]["name"], "door file updated");
    assert_eq!(audits[0]["at"], "2005-10-13T13:03:09");
    assert_eq!(audits[0]["record"]["door"], json!([1]));
    assert_eq!(audits[0]["with"], json!({"fw": "x"}));
    assert_eq!(audits[1]["time"], "never");
    assert_eq!(audits[1]["at"], Value::Null);
    assert_eq!(audits[1]["batch"], audits[0]["batch"]);
}

#[test]
fn no_events_are_acknowledged_and_make_no_record() {
    let host = Host::start("");
    let empty = r#"{"asyncEvents":[],"nxtDbVerTS":"0x8d1a1399bddb51d"}"#;
    assert_eq!(post(&host, empty).status(), 202);
    assert_eq!(host.audits(DEVICE), Vec::<Value>::new());
    assert_eq!(post(&host, BATCH).status(), 201, "the first audits");
}

#[test]
fn an_alert_is_stored_in_each_shape() {
    let host = Host::start("");
    for (body, status) in [
        (r#"{"event":"0B050001","time":"20051013130301"}"#, 201),
        (
            r#"{"asyncEvent":{"event":"0B050002","time":"20051013130302"}}"#,
            202,
        ),
        (
            r#"{"asyncEvents":[{"event":"0B050003","time":"20051013130303"}]}"#,
            202,
        ),
    ] {
        let answer = host.call("POST", &of_device(ALERT), body);
        assert_eq!(answer.status(), status, "{body}");
        assert_eq!(answer.header("Content-Length"), Some("0"));
    }
    let alerts = host.installation.alerts(DEVICE);
    let codes: Vec<Value> = alerts.iter().map(|event| event["code"].clone()).collect();
    assert_eq!(codes, ["0B050001", "0B050002", "0B050003"]);
    assert_eq!(host.audits(DEVICE), Vec::<Value>::new());
}

#[test]
fn an_upload_replaces_the_last_one_in_either_spelling_of_the_path() {
    let host = Host::start("");
    for (path, body) in [
        (CONFIG, r#"{"battV":{"main":6.1},}"#),
        ("/swordfish/lock/config", r#"{"battV":{"main":"5.9"}}"#),
    ] {
        let answer = host.call("PUT", &of_device(path), body);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("Content-Length"), Some("0"));
        let kept = host.installation.config(DEVICE).unwrap();
        assert_eq!(kept, body.as_bytes());
    }
}

#[test]
fn what_is_no_json_object_is_refused_and_kept() {
    for (method, path, call, body) in [
        ("POST", AUDIT, "audit", &b"event=1"[..]),
        ("POST", AUDIT, "audit", b"[{\"time\":\"20051013130309\"}]"),
        ("POST", AUDIT, "audit", b"{\"asyncEvents\":[{\"event\":"),
        ("POST", AUDIT, "audit", b"{\"events\":[]}"),
        ("POST", ALERT, "alert", b"\xff\xfe{}"),
        ("PUT", CONFIG, "config", b"\"text\""),
    ] {
        let host = Host::start("");
        let answer = host.call(method, &of_device(path), body);
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.body, br#"{"error":"bad request"}"#);
        let kept = quarantined(&host);
        assert_eq!(kept, (DEVICE.to_owned(), call.to_owned(), body.to_vec()));
        assert_eq!(host.audits(DEVICE), Vec::<Value>::new());
    }
}

/// What embedded writers make of JSON: the events count, and a note says what was mended.
#[test]
fn what_can_be_read_of_a_damaged_body_is_stored_with_a_note() {
    let host = Host::start("");
    let padded = format!("{:\0<256}", event(1));
    let latin1 = [
        event(2).trim_end_matches('}').as_bytes(),
        b",\"door\":\"T\xfcr\"}",
    ]
    .concat();
    let cut = event(3).replace("]}", r#",{"event":"0B"#);
    let unclosed = event(4).replace("]}", "}");
    for (body, note) in [
        (padded.into_bytes(), "NUL bytes"),
        (latin1, "ISO 8859-1"),
        (cut.into_bytes(), "ended early"),
        (unclosed.into_bytes(), "brackets"),
    ] {
        let status = post(&host, &body).status();
        assert!(matches!(status, 201 | 202), "{status}: {note}");
        let notes = members(&host, "note");
        let said = notes.last().unwrap().as_str().unwrap();
        assert!(said.contains(note), "{said}");
    }
    let codes: Vec<Value> = (1..=4)
        .map(|number| format!("{number:08}").into())
        .collect();
    assert_eq!(members(&host, "code"), codes);
    assert_eq!(members(&host, "with")[1], json!({"door": "T\u{fc}r"}));
    let upload = b"{\"battV\":{\"main\":\"6.1\"},\"nm\":\"T\xfcr\"}\0";
    let answer = host.call("PUT", &of_device(CONFIG), upload);
    assert_eq!(answer.status(), 200);
    assert_eq!(host.installation.config(DEVICE).unwrap(), upload);
}

fn event(number: u32) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{number:08}","time":"20051013130309"}}]}}"#)
}

/// Deeper, and longer numbers, than common parsers read, and so than whoever reads the lines.
#[test]
fn what_common_parsers_do_not_read_is_refused_and_kept() {
    let with = |value: String| format!(r#"{{"asyncEvents":[{{"event":"11111111","x":{value}}}]}}"#);
    // Three levels are around it.
    let nested = |levels: usize| with("[".repeat(levels - 3) + &"]".repeat(levels - 3));
    let number = |digits| with("7".repeat(digits));
    for (stored, refused, place) in [
        (nested(32), nested(33), AUDIT),
        (number(256), number(257), ALERT),
        (nested(31), number(5000), CONFIG),
    ] {
        let host = Host::start("");
        let method = if place == CONFIG { "PUT" } else { "POST" };
        let answer = host.call(method, &of_device(place), &refused);
        assert_eq!(answer.status(), 400, "{place}");
        assert_eq!(quarantined(&host).2, refused.into_bytes());
        let installation = &host.installation;
        assert_eq!(installation.audits(DEVICE), Vec::<Value>::new());
        assert_eq!(installation.alerts(DEVICE), Vec::<Value>::new());
        assert_eq!(installation.config(DEVICE), None);
        let answer = host.call(method, &of_device(place), stored);
        assert!(matches!(answer.status(), 200 | 201), "{place}");
    }
}

#[test]
fn other_methods_are_not_allowed() {
    let host = Host::start("");
    for (method, path, allowed) in [
        ("GET", AUDIT, "POST"),
        ("PUT", ALERT, "POST"),
        ("POST", CONFIG, "PUT"),
        ("POST", super::NO_DATABASE, "GET,HEAD"),
    ] {
        let answer = host.call(method, path, "");
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(answer.header("Allow"), Some(allowed), "{method} {path}");
    }
    assert_eq!(host.call("GET", "/swordfish/lock/db/", "").status(), 404);
}
