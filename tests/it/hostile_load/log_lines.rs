//! What strangers make the log say.

use std::io::Write;

use crate::harness::{Daemon, Host, Installation, connect, get, read_to_end, request, standard};

const MAX_LINE_BYTES: usize = 1024;

/// A line says no more of a request than is useful, however long it is.
#[test]
fn long_requests_make_short_lines() {
    let daemon = Daemon::start(&Installation::new(standard()));
    let long = "a".repeat(7000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "\u{9b}".repeat(3500)
        ),
        format!("{long} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        format!("GET /?sn={long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ] {
        let mut stream = connect(daemon.http);
        stream.write_all(request.as_bytes()).unwrap();
        read_to_end(&mut stream);
    }
    daemon.terminate();
    let (_, log) = daemon.finish();
    let longest = log.lines().max_by_key(|line| line.len()).unwrap();
    assert!(
        longest.len() <= MAX_LINE_BYTES,
        "{} bytes: {longest}",
        longest.len()
    );
    assert!(log.contains("aaa.. (7001 bytes) -> 404"), "{log}");
}

/// Nor of a call-in in clear text.
#[test]
fn long_call_ins_in_clear_make_short_lines() {
    let installation = Host::installation("");
    installation.edit("plain_http = true\n", "");
    let mut daemon = Daemon::start(&installation);
    let target = format!("/swordfish/lock/db/{}", "a".repeat(7000));
    assert_eq!(get(daemon.http, &target).status(), 404);
    let line = daemon.wait_for("on the plain listener refused");
    assert!(line.len() <= MAX_LINE_BYTES, "{} bytes: {line}", line.len());
    assert!(line.contains("aaa.. (7019 bytes))"), "{line}");
}

/// Ten lines a minute of each network, and the rest counted.
#[test]
fn handshakes_that_fail_again_and_again_are_a_few_lines_for_each_address() {
    let installation = Host::installation("");
    installation.set("[access]", "proxy_protocol_from = [\"127.0.0.1\"]");
    let mut daemon = Daemon::start(&installation);
    let fail = |peer: &str| {
        let mut stream = connect(daemon.https);
        let nonsense = format!("PROXY TCP4 {peer} 10.0.0.1 1 443\r\nGET / HTTP/1.1\r\n\r\n");
        stream.write_all(nonsense.as_bytes()).unwrap();
        read_to_end(&mut stream);
    };
    (0..200).for_each(|_| fail("10.66.0.1"));
    fail("10.66.0.2");
    daemon.wait_for_metric("tls_handshake_failures_total", &[], 201);
    daemon.wait_for("TLS handshake with 10.66.0.2:1 failed");
    assert_eq!(daemon.seen("TLS handshake with 10.66.0.1:1").count(), 10);
}

/// Whoever has an IPv6 /64 has any number of addresses to ask from.
#[test]
fn announcements_that_are_asked_for_again_and_again_are_a_few_lines_for_each_network() {
    let installation = Host::installation("");
    installation.set("[access]", "proxy_protocol_from = [\"127.0.0.1\"]");
    let mut daemon = Daemon::start(&installation);
    let ask = |header: &str| {
        let mut stream = connect(daemon.http);
        let request = format!(
            "PROXY {header} 1 80\r\nGET /swordfish/lock/certificates/current HTTP/1.1\r\n\
             Host: 10.44.68.128\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert!(read_to_end(&mut stream).starts_with(b"HTTP/1.1 200"));
    };
    for host in 1..=40 {
        (0..3).for_each(|_| ask(&format!("TCP6 2001:db8::{host:x} 2001:db8:1::1")));
    }
    (0..3).for_each(|_| ask("TCP4 10.66.0.2 10.0.0.1"));
    daemon.wait_for("10.66.0.2 has fetched the announcement 3 times");
    daemon.terminate();
    let (_, log) = daemon.finish();
    let lines = log.matches(" has fetched the announcement").count();
    assert_eq!(lines, 11, "{log}");
}

/// What is kept in quarantine likewise.
#[test]
fn bodies_that_are_refused_again_and_again_are_a_few_lines_for_each_address() {
    let installation = Host::installation("");
    installation.set("[access]", "proxy_protocol_from = [\"127.0.0.1\"]");
    let mut daemon = Daemon::start(&installation);
    let refused = |peer: &str| {
        let mut stream = connect(daemon.http);
        let header = format!("PROXY TCP4 {peer} 10.0.0.1 1 80\r\n");
        let target = "/swordfish/lock/audit?sn=FEDCBA9876543210";
        let call = request("POST", target, "Connection: close\r\n", b"nonsense");
        stream
            .write_all(&[header.as_bytes(), &call].concat())
            .unwrap();
        read_to_end(&mut stream);
    };
    (0..50).for_each(|_| refused("10.66.0.1"));
    refused("10.66.0.2");
    let kept = "refused and kept in quarantine";
    daemon.wait_for_count(kept, 11);
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert_eq!(log.matches(kept).count(), 11, "{log}");
}
