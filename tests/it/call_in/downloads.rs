//! Which certificate a device has: what it took whole, credited to it alone, and kept over a restart.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Host, connect, get, read_answer, request};

use super::AUDIT;
use super::callers::batch;

const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";
const FILE: &str = ".certificate-fetches.json";
const ONE: &str = "0123456789ABCDEF";
const OTHER: &str = "FEDCBA9876543210";

/// A connection on which a certificate was fetched whole, and is not known to have arrived.
fn fetching(host: &Host, target: &str) -> std::net::TcpStream {
    let mut stream = connect(host.daemon.http);
    stream.write_all(&request("GET", target, "", b"")).unwrap();
    assert_eq!(read_answer(&mut stream).status(), 200);
    stream
}

/// Calls in, and stops the daemon, which then has written what it knows.
fn certificates(host: Host, callers: &[&str]) -> (Vec<Value>, Host) {
    for serial in callers {
        let answer = host.call("POST", &format!("{AUDIT}?sn={serial}"), batch(1));
        assert_eq!(answer.status(), 201);
    }
    let (installation, _) = host.stop();
    let record = |serial: &&str| installation.record(serial)["certificate"].clone();
    let certificates = callers.iter().map(record).collect();
    let daemon = crate::harness::Daemon::start(&installation);
    let host = Host {
        installation,
        daemon,
    };
    (certificates, host)
}

/// Waits until it is written that `fetcher` has fetched, and returns all that is.
fn saved(host: &Host, fetcher: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let saved = fs_err::read_to_string(host.path(FILE)).unwrap_or_default();
        if saved.contains(fetcher) {
            return saved;
        }
        assert!(Instant::now() < deadline, "{saved}");
    }
}

#[test]
fn a_fetch_is_credited_to_the_device_that_names_itself_and_not_to_its_neighbour() {
    let host = Host::start("");
    let mut stream = fetching(&host, &format!("{CERTIFICATE}?sn={ONE}"));
    // Its next request says that it has the certificate.
    stream.write_all(&request("GET", "/", "", b"")).unwrap();
    assert_eq!(read_answer(&mut stream).status(), 404);
    let (certificates, _host) = certificates(host, &[OTHER, ONE]);
    assert_eq!(certificates[0], Value::Null);
    let fingerprint = certificates[1]["value"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 95, "{fingerprint}");
}

#[test]
fn an_announcement_alone_is_no_certificate_and_neither_is_a_head() {
    let host = Host::start("");
    let announcement = "/swordfish/lock/certificates/current";
    let mut stream = fetching(&host, &format!("{announcement}?sn={ONE}"));
    for _ in 0..2 {
        let head = request("HEAD", &format!("{CERTIFICATE}?sn={ONE}"), "", b"");
        stream.write_all(&head).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
    let (certificates, _host) = certificates(host, &[ONE]);
    assert_eq!(certificates, [Value::Null]);
}

#[test]
fn a_download_that_is_cut_does_not_count_and_one_that_ends_the_connection_does() {
    let host = Host::start("");
    for (at, headers) in ["", "Connection: close\r\n"].into_iter().enumerate() {
        let mut stream = connect(host.daemon.http);
        let target = format!("{CERTIFICATE}?sn={at:016X}");
        stream
            .write_all(&request("GET", &target, headers, b""))
            .unwrap();
        // Closed with the rest unread: the client's kernel answers with a reset.
        let mut some = [0; 100];
        while stream.peek(&mut [0; 400]).unwrap() < 400 {}
        stream.read_exact(&mut some).unwrap();
    }
    assert_eq!(
        get(host.daemon.http, &format!("{CERTIFICATE}?sn={ONE}")).status(),
        200
    );
    let saved = saved(&host, ONE);
    assert_eq!(saved.matches("\"device\"").count(), 1, "{saved}");
}

#[test]
fn what_was_fetched_is_known_after_a_restart() {
    let host = Host::start("");
    drop(fetching(&host, &format!("{CERTIFICATE}?sn={ONE}")));
    saved(&host, ONE);
    // Killed, and started on what it left.
    let (certificates, host) = certificates(host.restart(), &[OTHER, ONE]);
    assert_eq!(certificates[0], Value::Null);
    assert!(certificates[1].is_object(), "{certificates:?}");
    // Credited once: it is in the device's record now.
    let saved = fs_err::read_to_string(host.path(FILE)).unwrap();
    assert_eq!(saved, "[]");
}

#[test]
fn a_file_that_cannot_be_read_is_warned_of_and_one_that_cannot_be_written_costs_only_itself() {
    let host = Host::start("");
    fs_err::write(host.path(FILE), "[{\"device\":").unwrap();
    let mut host = host.restart();
    let line = host
        .daemon
        .wait_for("who fetched which certificate before this start is forgotten");
    assert!(line.contains("WARN"), "{line}");
    let folder = host.path(".certificate-fetches.new");
    fs_err::create_dir(&folder).unwrap();
    drop(fetching(&host, &format!("{CERTIFICATE}?sn={ONE}")));
    host.daemon
        .wait_for("who fetches which certificate is forgotten at the next start");
    let (certificates, _host) = certificates(host, &[ONE]);
    assert!(certificates[0].is_object(), "{certificates:?}");
}
