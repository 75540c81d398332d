//! Requests that cannot be read.

use super::client::json;
use super::{DATABASE, DEVICE, host};
use crate::harness::{Response, exchange};

#[test]
fn a_header_that_is_there_twice_or_is_no_text_is_refused() {
    let (_host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    for (method, path, headers) in [
        ("PUT", &*path, "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n"),
        ("PUT", &path, "If-Match: \"\u{e9}\"\r\n"),
        ("PUT", &path, "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
        ("PUT", &path, "Idempotency-Key: \u{e9}\r\n"),
        (
            "GET",
            "/v1/events/stream",
            "Last-Event-ID: a\r\nLast-Event-ID: b\r\n",
        ),
    ] {
        let body = if method == "PUT" { DATABASE } else { "" };
        let refused = api.refused(400, method, path, headers, body);
        assert_eq!(refused, "malformed-header", "{headers}");
    }
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
}

#[test]
fn a_body_that_breaks_off_or_is_too_long_is_refused_with_a_key_and_without() {
    let (_host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    for key in ["", "Idempotency-Key: 5f22\r\n"] {
        let head = format!(
            "PUT /api{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\n{key}",
            api.address, api.token
        );
        // The size of a chunk is a number in hexadecimal digits.
        let broken = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"db\"\r\nzz\r\n");
        let answer = Response::parse(&exchange(api.address, broken));
        assert_eq!(answer.status(), 400, "{key}");
        assert_eq!(json(&answer)["code"], "unread-body", "{key}");
        let long = format!("\"{}\"", "x".repeat(17 * 1024 * 1024));
        let refused = api.refused(413, "PUT", &path, key, &long);
        assert_eq!(refused, "body-too-large", "{key}");
    }
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
}
