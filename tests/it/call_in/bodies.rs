//! What devices send, in every shape: stored as it arrived, or kept in quarantine.

use std::io::Write;

use serde_json::{Value, json};

use super::{ALERT, AUDIT, CONFIG, DEVICE, of_device};
use crate::harness::{
    Host, Response, close_sending, connect, connect_from, read_to_end, request, standard,
    tls_connect, trusting, wire_text,
};

const BATCH: &str = r#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}],"nxtDbVerTS":"0x8d1a1399bddb51d"}"#;

fn post(host: &Host, body: impl AsRef<[u8]>) -> Response {
    host.call("POST", &of_device(AUDIT), body)
}

/// A member of every stored audit of the device.
fn members(host: &Host, name: &str) -> Vec<Value> {
    let audits = host.audits(DEVICE);
    audits.iter().map(|line| line[name].clone()).collect()
}

/// The one body in quarantine, with its device and its kind.
fn quarantined(host: &Host) -> (String, String, Vec<u8>) {
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

/// Whoever breaks off, or never ends, leaves nothing: serial numbers can be invented.
#[test]
fn bodies_that_do_not_end_make_no_records() {
    let host = Host::start("");
    let mut stalled: Vec<_> = (0..128)
        .map(|number| {
            let mut stream = connect(host.daemon.http);
            let target = format!("{AUDIT}?sn={number:016X}");
            let head = request("POST", &target, "Content-Length: 100\r\n", b"");
            stream.write_all(&head).unwrap();
            stream.write_all(b"{").unwrap();
            stream
        })
        .collect();
    // Read by now: they came before.
    assert_eq!(post(&host, BATCH).status(), 201);
    let last = stalled.pop().unwrap();
    close_sending(&last);
    drop(last);
    host.daemon.terminate();
    drop(stalled);
    let (installation, _) = host.stop();
    assert_eq!(installation.known(), [DEVICE]);
    // What was seen of the device that did deliver is in its record.
    assert_eq!(installation.record(DEVICE)["address"], "127.0.0.1");
}

#[test]
fn what_is_longer_than_allowed_is_refused_and_its_beginning_kept() {
    let installation = Host::installation("");
    installation.set("[limits]", "body_bytes = 200");
    let fitting = format!("{BATCH:<200}");
    let long = format!("{BATCH:<201}");
    let chunked = format!(
        "{:x}\r\n{BATCH}\r\n97\r\n{:151}\r\n0\r\n\r\n",
        BATCH.len(),
        ""
    );
    for (headers, body) in [
        (format!("Content-Length: {}\r\n", long.len()), long.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked),
    ] {
        let _ = fs_err::remove_dir_all(installation.path("Engage_Data"));
        let daemon = crate::harness::Daemon::start(&installation);
        let mut stream = connect(daemon.http);
        let mut head = request(
            "POST",
            &of_device(AUDIT),
            &format!("Connection: close\r\n{headers}"),
            b"",
        );
        head.extend_from_slice(body.as_bytes());
        stream.write_all(&head).unwrap();
        let answer = Response::parse(&read_to_end(&mut stream));
        assert_eq!(answer.status(), 400, "{headers}");
        let kept = installation.quarantined();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0].2, &long.as_bytes()[..200], "{headers}");
    }
    let daemon = crate::harness::Daemon::start(&installation);
    let host = Host {
        installation,
        daemon,
    };
    assert_eq!(post(&host, fitting).status(), 201, "the longest");
}

#[test]
fn a_chunked_body_within_the_limit_is_stored() {
    let host = Host::start("");
    let (one, two) = BATCH.split_at(30);
    let body = format!(
        "{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    let headers = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    let mut stream = connect(host.daemon.http);
    stream
        .write_all(&request("POST", &of_device(AUDIT), headers, b""))
        .unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut stream)).status(), 201);
    assert_eq!(members(&host, "event"), ["11111111"]);
}

#[test]
fn a_body_that_breaks_off_is_neither_stored_nor_acknowledged() {
    let host = Host::start("");
    let whole = request(
        "POST",
        &of_device(AUDIT),
        "Connection: close\r\n",
        BATCH.as_bytes(),
    );
    // The last brace is missing, and then so much that what came is JSON's beginning.
    for missing in [1, 40, BATCH.len()] {
        let sent = &whole[..whole.len() - missing];
        let mut plain = connect(host.daemon.http);
        plain.write_all(sent).unwrap();
        close_sending(&plain);
        assert_refused(&read_to_end_lenient(&mut plain));
        let mut tls = tls_connect(host.daemon.https, &trusting(&standard().root.der));
        tls.write_all(sent).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        close_sending(&tls.sock);
        assert_refused(&read_to_end_lenient(&mut tls));
    }
    assert_eq!(host.audits(DEVICE), Vec::<Value>::new());
    assert_eq!(host.installation.quarantined(), []);
    assert_eq!(post(&host, BATCH).status(), 201);
}

/// What came, whether or not the server answered.
fn read_to_end_lenient(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn assert_refused(answer: &[u8]) {
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(answer)
    );
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

#[test]
fn bodies_in_flight_share_their_memory_and_certificates_need_none_of_it() {
    let installation = Host::installation("");
    installation.set("[limits]", "body_memory_bytes = 2097152");
    let daemon = crate::harness::Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let long = BATCH.to_owned() + &" ".repeat(600_000);
    let head = request(
        "POST",
        &of_device(AUDIT),
        "Content-Length: 1000000\r\n",
        b"",
    );
    let stall = || {
        let mut stream = connect(host.daemon.http);
        stream.write_all(&head).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
        stream
    };
    // One more each time: a call that comes between them may take the memory from one.
    let mut stalled = vec![stall()];
    let refused = (0..100).find_map(|_| {
        stalled.push(stall());
        let answer = post(&host, &long);
        (answer.status() == 503).then_some(answer)
    });
    assert_eq!(
        refused.unwrap().body,
        br#"{"error":"too many requests in flight"}"#
    );
    host.daemon
        .wait_for("bytes of `[limits] body_memory_bytes`, of which others leave it");
    host.daemon
        .wait_for_metric("refusals_total", &[("limit", "body_memory_bytes")], 1);
    let announcement = "/swordfish/lock/certificates/current";
    assert_eq!(host.call("GET", announcement, "").status(), 200);
    drop(stalled);
    assert!((0..1000).any(|_| post(&host, &long).status() == 202));
}

#[test]
fn bodies_that_one_address_lets_stall_keep_no_other_address_waiting() {
    let installation = Host::installation("");
    // Set, it makes one caller of each loopback address too.
    installation.set(
        "[limits]",
        "body_memory_bytes = 2097152\nconnections_per_address = 64",
    );
    let daemon = crate::harness::Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let long = BATCH.to_owned() + &" ".repeat(100_000);
    let head = |length: usize| {
        let headers = format!("Connection: close\r\nContent-Length: {length}\r\n");
        request("POST", &of_device(AUDIT), &headers, b"")
    };
    let stalled: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect(host.daemon.http);
            stream.write_all(&head(long.len() + 1)).unwrap();
            // One that is refused may be closed already.
            let _ = stream.write_all(long.as_bytes());
            stream
        })
        .collect();
    // All that it may: the rest is refused.
    let labels = [("limit", "body_memory_bytes")];
    host.daemon.wait_for_metric("refusals_total", &labels, 20);
    for _ in 0..10 {
        let mut stream = connect_from([127, 0, 0, 2], host.daemon.http);
        stream.write_all(&head(long.len())).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
        let answer = Response::parse(&read_to_end(&mut stream));
        assert!([201, 202].contains(&answer.status()), "{}", answer.head);
    }
    drop(stalled);
}
