//! Heads that the HTTP parser refuses are seen, and queries that it would refuse are answered.

use std::io::{Read, Write};

use crate::harness::{
    Daemon, Installation, Response, connect, exchange, get, read_to_end, standard, tls_connect,
    trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

fn daemon() -> Daemon {
    Daemon::start(&Installation::new(standard()).with_admin())
}

#[test]
fn a_head_that_cannot_be_parsed_is_logged_with_its_reason_and_counted() {
    let long = "x".repeat(9000);
    for (head, status, reason, label) in [
        (
            format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost : x\r\n\r\n"),
            400,
            "such as a space before the colon; it begins with `GET /swordfish",
            "malformed_request",
        ),
        (
            format!("GET {ANNOUNCEMENT}?sn=AB CD HTTP/1.1\r\n\r\n"),
            400,
            "it is not HTTP/1.1 or HTTP/1.0",
            "malformed_request",
        ),
        (
            format!("GET {ANNOUNCEMENT} http/1.1\r\n\r\n"),
            400,
            "it is not HTTP/1.1 or HTTP/1.0",
            "malformed_request",
        ),
        (
            format!("GET {ANNOUNCEMENT}?{long} HTTP/1.1\r\n\r\n"),
            431,
            "its head is longer than `[limits] request_head_bytes = 8192`",
            "request_head_bytes",
        ),
        (
            format!(
                "POST {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"
            ),
            431,
            "its Content-Length is 2^63 or more; it begins with `POST /swordfish",
            "malformed_request",
        ),
        (
            "Authorization: Basic c2VjcmV0\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "it begins with `Authorizatio`",
            "malformed_request",
        ),
    ] {
        let mut daemon = daemon();
        let answer = Response::parse(&exchange(daemon.http, &head));
        assert_eq!(answer.status(), status, "{head}");
        let line = daemon.wait_for(&format!("answered {status}: "));
        assert!(line.contains(reason), "{line}");
        let labels = [("listener", "http"), ("limit", label)];
        daemon.wait_for_metric("refusals_total", &labels, 1);
    }
}

#[test]
fn a_head_within_tls_is_seen_too() {
    let mut daemon = daemon();
    let mut stream = tls_connect(daemon.https, &trusting(&standard().root.der));
    stream.write_all(b"GET / HTTP/7\r\n\r\n").unwrap();
    let mut plain = daemon.wait_for("https request from 127.0.0.1");
    plain.truncate(300);
    assert!(plain.contains("answered 400"), "{plain}");
}

#[test]
fn a_preface_of_http_2_is_counted_and_logged_once_on_both_ports() {
    const FIRST_LINE: &[u8] = b"PRI * HTTP/2";
    let mut daemon = daemon();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (https, trusted) = (daemon.https, trusting(&standard().root.der));
    for at in 1..preface.len() {
        let mut stream = tls_connect(https, &trusted);
        stream.write_all(&preface[..at]).unwrap();
        stream.flush().unwrap();
        stream.write_all(&preface[at..]).unwrap();
        let mut answer = Vec::new();
        // It ends without TLS's own close.
        let _ = stream.read_to_end(&mut answer);
        // hyper knows the preface by all of it: a first line that comes alone is of another version.
        let is_refused = answer.starts_with(b"HTTP/1.1 400 ") && at > FIRST_LINE.len();
        assert!(
            answer.is_empty() || is_refused,
            "{at}: {}",
            answer.escape_ascii()
        );
    }
    assert_eq!(exchange(daemon.http, str::from_utf8(preface).unwrap()), b"");
    daemon.wait_for("http connection from 127.0.0.1");
    for (listener, count) in [("http", 1), ("https", preface.len() as u64 - 1)] {
        let labels = [("listener", listener), ("limit", "malformed_request")];
        daemon.wait_for_metric("refusals_total", &labels, count);
        assert_eq!(daemon.metrics().sum("refusals_total", &labels), count);
    }
    // Behind another request it ends the connection as silently, once that is answered.
    let behind = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n{}",
        str::from_utf8(preface).unwrap()
    );
    let answers = exchange(daemon.http, &behind);
    let answers = String::from_utf8_lossy(&answers);
    assert!(answers.starts_with("HTTP/1.1 404 "), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[test]
fn a_second_head_on_a_connection_is_seen_too() {
    let mut daemon = daemon();
    let mut stream = connect(daemon.http);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(crate::harness::read_answer(&mut stream).status(), 404);
    stream.write_all(b"hello\r\n\r\n").unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut stream)).status(), 400);
    daemon.wait_for("it begins with `hello`");
}

#[test]
fn a_head_in_one_packet_with_another_is_seen_too() {
    let mut daemon = daemon();
    let both = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nX: \0\r\n\r\n";
    let answers = exchange(daemon.http, both);
    assert!(answers.starts_with(b"HTTP/1.1 404 "));
    let labels = [("listener", "http"), ("limit", "malformed_request")];
    daemon.wait_for_metric("refusals_total", &labels, 1);
}

#[test]
fn characters_of_a_query_that_should_be_escaped_are_ignored_with_it() {
    let daemon = daemon();
    let expected = get(daemon.http, ANNOUNCEMENT).body;
    for query in [
        &b"sn=\"x\""[..],
        b"<x>",
        b"\xe9",
        b"a\x01",
        b"a\x7f\xff\"#\\^`{|}",
    ] {
        let request = [
            b"GET ",
            ANNOUNCEMENT.as_bytes(),
            b"?",
            query,
            b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ]
        .concat();
        let answer = Response::parse(&exchange(daemon.http, &request));
        let shown = String::from_utf8_lossy(query);
        assert_eq!(answer.status(), 200, "{shown}");
        assert_eq!(answer.body, expected, "{shown}");
        // In two pieces, and after another request.
        let mut stream = connect(daemon.http);
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        assert_eq!(crate::harness::read_answer(&mut stream).status(), 404);
        let (first, second) = request.split_at(request.len() - 52);
        stream.write_all(first).unwrap();
        stream.write_all(second).unwrap();
        assert_eq!(Response::parse(&read_to_end(&mut stream)).status(), 200);
    }
}

#[test]
fn nothing_but_the_query_is_changed() {
    let daemon = daemon();
    let body = get(daemon.http, &format!("{ANNOUNCEMENT}%22")).status();
    assert_eq!(body, 404);
    let raw = exchange(
        daemon.http,
        format!("GET {ANNOUNCEMENT}\" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    );
    assert_ne!(Response::parse(&raw).status(), 200);
}
