//! The bytes of each answer, as a device receives them (PROTOCOL.md section 3).

use std::io::Write;

use crate::harness::{
    Daemon, Installation, Response, connect, exchange, get, read_answer, read_to_end, standard,
    wire_text,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";

/// A daemon whose announcement does not depend on its port. Its hash still depends on the
/// certificate, so it is named in the text.
fn daemon() -> Daemon {
    let installation = Installation::new(standard());
    installation.set_base_url("http://10.44.68.128");
    Daemon::start(&installation)
}

fn hash(daemon: &Daemon) -> String {
    get(daemon.http, ANNOUNCEMENT).json("hash")
}

/// The answer to `request` as text, with the length that a certificate happens to have named.
fn answer(daemon: &Daemon, request: &str) -> String {
    let answered = exchange(daemon.http, request);
    let length = standard().root.der.len();
    wire_text(&answered)
        .replace(&hash(daemon), "[hash]")
        .replace(&length.to_string(), "[length]")
}

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: 10.44.68.128\r\nConnection: close\r\n\r\n")
}

#[test]
fn the_announcement_is_minified_json_with_its_length() {
    let daemon = daemon();
    insta::assert_snapshot!(answer(&daemon, &request("GET", ANNOUNCEMENT)));
}

#[test]
fn head_is_get_without_the_body() {
    let daemon = daemon();
    for target in [ANNOUNCEMENT, CERTIFICATE] {
        let got = Response::parse(&exchange(daemon.http, request("GET", target)));
        let head = Response::parse(&exchange(daemon.http, request("HEAD", target)));
        assert_eq!(without_date(&head.head), without_date(&got.head));
        assert_eq!(head.body, b"", "{target}");
        assert!(!got.body.is_empty(), "{target}");
    }
}

#[test]
fn the_certificate_is_the_bytes_of_the_file() {
    let daemon = daemon();
    insta::assert_snapshot!(answer(&daemon, &request("GET", CERTIFICATE)));
    assert_eq!(get(daemon.http, CERTIFICATE).body, standard().root.der);
}

#[test]
fn query_parameters_change_nothing() {
    let daemon = daemon();
    let plain = get(daemon.http, ANNOUNCEMENT);
    for query in [
        "sn=ASNFZ4mrze8%3D",
        "SN=x",
        "?",
        "",
        "a=b&a=c&%00",
        "sn=%",
        "serialNumber=1+2",
    ] {
        let asked = get(daemon.http, &format!("{ANNOUNCEMENT}?{query}"));
        assert_eq!(asked.status(), 200, "{query}");
        assert_eq!(asked.body, plain.body, "{query}");
    }
    let asked = get(daemon.http, &format!("{CERTIFICATE}?v=1"));
    assert_eq!(asked.body, standard().root.der);
}

#[test]
fn the_serial_number_of_a_request_is_logged() {
    let mut daemon = daemon();
    get(daemon.http, &format!("{ANNOUNCEMENT}?sn=ASNFZ4mrze8%3D"));
    let line = daemon.wait_for("certificates/current");
    assert!(line.contains("0123456789ABCDEF"), "{line}");
}

#[test]
fn unknown_paths_are_not_found() {
    let daemon = daemon();
    insta::assert_snapshot!(answer(&daemon, &request("GET", "/")));
    let unknown = answer(&daemon, &request("GET", "/"));
    for target in [
        "/swordfish",
        "/static/Device_Certificates/none.der",
        "/favicon.ico?x",
    ] {
        assert_eq!(answer(&daemon, &request("GET", target)), unknown);
    }
}

#[test]
fn other_methods_are_not_allowed() {
    let daemon = daemon();
    insta::assert_snapshot!(answer(&daemon, &request("DELETE", ANNOUNCEMENT)));
    let refused = answer(&daemon, &request("DELETE", ANNOUNCEMENT));
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for target in [ANNOUNCEMENT, CERTIFICATE] {
            assert_eq!(
                answer(&daemon, &request(method, target)),
                refused,
                "{method}"
            );
        }
    }
}

#[test]
fn a_post_with_a_body_is_not_allowed() {
    let daemon = daemon();
    let request = format!(
        "POST {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert!(answer(&daemon, &request).starts_with("HTTP/1.1 405 "));
}

#[test]
fn requests_that_are_not_http_are_refused_with_a_length() {
    let daemon = daemon();
    for (name, request) in [
        ("garbage", "hello\r\n\r\n".to_owned()),
        (
            "two_spaces",
            format!("GET  {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        (
            "long_uri",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
        ),
        (
            "large_head",
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000)),
        ),
        (
            "many_headers",
            format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200)),
        ),
        (
            "bad_header",
            "GET / HTTP/1.1\r\nHo st: a\r\n\r\n".to_owned(),
        ),
    ] {
        insta::assert_snapshot!(name, answer(&daemon, &request));
    }
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn an_http_2_preface_is_hung_up_on() {
    let daemon = daemon();
    assert_eq!(answer(&daemon, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "");
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn unusual_forms_of_a_request_are_answered() {
    let daemon = daemon();
    for (name, request) in [
        ("http_1_0", format!("GET {ANNOUNCEMENT} HTTP/1.0\r\n\r\n")),
        ("options_asterisk", request("OPTIONS", "*")),
        ("connect_authority", request("CONNECT", "10.44.68.128:443")),
        (
            "absolute_form",
            request("GET", &format!("http://10.44.68.128{ANNOUNCEMENT}")),
        ),
    ] {
        insta::assert_snapshot!(name, answer(&daemon, &request));
    }
}

#[test]
fn an_answer_is_not_lost_to_bytes_behind_its_request() {
    let daemon = daemon();
    for method in ["GET", "CONNECT"] {
        let request = request(method, "a:443") + &"x".repeat(20_000);
        let answer = Response::parse(&exchange(daemon.http, request));
        assert_eq!(answer.status(), 404, "{method}");
    }
}

#[test]
fn every_answer_states_its_length_and_none_is_chunked() {
    let daemon = daemon();
    let long = format!("/{}", "x".repeat(70_000));
    let requests = ["GET", "HEAD", "POST", "OPTIONS", "CONNECT", "BREW"]
        .iter()
        .flat_map(|method| {
            [ANNOUNCEMENT, CERTIFICATE, "/", "*", "a:1", long.as_str()]
                .map(|target| request(method, target))
        })
        .chain([
            "\r\n\r\nx\r\n\r\n".to_owned(),
            "GET / HTTP/3\r\n\r\n".to_owned(),
        ]);
    for request in requests {
        let answered = exchange(daemon.http, &request);
        let answer = Response::parse(&answered);
        let shown = &request[..request.len().min(60)];
        assert!(
            answer.head.starts_with("HTTP/1.1 "),
            "{shown}: {}",
            answer.head
        );
        let length = answer.header("Content-Length");
        assert!(length.is_some(), "{shown}: {}", answer.head);
        if !request.starts_with("HEAD") {
            assert_eq!(
                length,
                Some(answer.body.len().to_string().as_str()),
                "{shown}"
            );
        }
        assert!(
            !answer
                .head
                .to_ascii_lowercase()
                .contains("transfer-encoding"),
            "{shown}"
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let daemon = daemon();
    let mut stream = connect(daemon.http);
    let head = "HTTP/1.1\r\nHost: a\r\n";
    write!(
        stream,
        "GET {ANNOUNCEMENT} {head}\r\nGET {CERTIFICATE} {head}\r\n"
    )
    .unwrap();
    let first = read_answer(&mut stream);
    assert_eq!(first.header("Content-Type"), Some("application/json"));
    assert_eq!(first.json("hash"), hash(&daemon));
    assert_eq!(read_answer(&mut stream).body, standard().root.der);
    // It is still open: a third request gets its answer, and then the end.
    write!(stream, "GET / {head}Connection: close\r\n\r\n").unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut stream)).status(), 404);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_its_answer() {
    let daemon = daemon();
    let request = format!(
        "POST {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    );
    assert!(answer(&daemon, &request).starts_with("HTTP/1.1 405 "));
}

fn without_date(head: &str) -> String {
    head.split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Date: "))
        .collect()
}
