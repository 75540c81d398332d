//! Which certificate a device has: what it took whole, credited to it alone, and kept over a restart
//! and for all hosts.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::database::postgres::{PostgresServer, postgres};
use crate::harness::{Daemon, Host, connect, get, get_from, read_answer, request};

use super::AUDIT;
use super::callers::batch;

const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";
const ONE: &str = "0123456789ABCDEF";
const OTHER: &str = "FEDCBA9876543210";

/// A connection on which a certificate was fetched whole, and is not known to have arrived.
fn fetching(host: &Host, target: &str) -> std::net::TcpStream {
    let mut stream = connect(host.daemon.http);
    stream.write_all(&request("GET", target, "", b"")).unwrap();
    assert_eq!(read_answer(&mut stream).status(), 200);
    stream
}

/// What a device is known to have fetched.
fn certificate(host: &Host, serial: &str) -> Value {
    host.installation.record(serial)["certificate"].clone()
}

fn call_in(host: &Host, serial: &str) {
    let answer = host.call("POST", &format!("{AUDIT}?sn={serial}"), batch(1));
    assert!([201, 202].contains(&answer.status()));
}

/// Calls in, and stops the daemon, which then has written what it knows.
fn certificates(host: Host, callers: &[&str]) -> (Vec<Value>, Host) {
    for serial in callers {
        call_in(&host, serial);
    }
    let host = stopped_and_started(host);
    let found = callers.iter().map(|serial| certificate(&host, serial));
    (found.collect(), host)
}

fn stopped_and_started(host: Host) -> Host {
    let (installation, _) = host.stop();
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
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
    let whole = format!("{CERTIFICATE}?sn={ONE}");
    assert_eq!(get(host.daemon.http, &whole).status(), 200);
    let cut = [format!("{:016X}", 0), format!("{:016X}", 1)];
    let (certificates, _host) = certificates(host, &[&cut[0], &cut[1], ONE]);
    assert_eq!(certificates[..2], [Value::Null, Value::Null]);
    assert!(certificates[2].is_object(), "{certificates:?}");
}

#[test]
fn what_was_fetched_is_known_after_a_restart_and_credited_once() {
    let host = Host::start("");
    drop(fetching(&host, &format!("{CERTIFICATE}?sn={ONE}")));
    let host = stopped_and_started(host);
    let (certificates, host) = certificates(host, &[OTHER, ONE]);
    assert_eq!(certificates[0], Value::Null);
    assert!(certificates[1].is_object(), "{certificates:?}");
    let fetched_at = &certificates[1]["at"];
    // Whoever calls in from there later has fetched nothing.
    let (again, _host) = self::certificates(host, &[OTHER, ONE]);
    assert_eq!((&again[0], &again[1]["at"]), (&Value::Null, fetched_at));
}

#[test]
fn a_fetch_that_names_its_device_counts_from_any_address_and_another_only_from_its_own() {
    let host = Host::start("");
    for (source, query, credited) in [
        ([127, 0, 0, 3], format!("?sn={ONE}"), ONE),
        ([127, 0, 0, 4], String::new(), ""),
        ([127, 0, 0, 1], String::new(), OTHER),
    ] {
        let target = format!("{CERTIFICATE}{query}");
        let answer = get_from(source, host.daemon.http, &target);
        assert_eq!(answer.status(), 200, "{credited}");
    }
    // All three have called from 127.0.0.1, and one finds nothing left.
    let third = "00000000000000FF";
    let (certificates, _host) = certificates(host, &[ONE, OTHER, third]);
    assert!(certificates[0].is_object(), "{certificates:?}");
    assert!(certificates[1].is_object(), "{certificates:?}");
    assert_eq!(certificates[2], Value::Null);
}

#[test]
fn what_was_fetched_at_one_host_is_credited_at_a_call_in_on_another() {
    let Some(server) = postgres() else { return };
    let line = format!("database_url = \"{}\"\n", server.create_database().url());
    let (one, other) = (Host::start(&line), Host::start(&line));
    call_in(&other, ONE);
    assert_eq!(certificate(&other, ONE), Value::Null);
    drop(fetching(&one, &format!("{CERTIFICATE}?sn={ONE}")));
    let deadline = Instant::now() + Duration::from_secs(30);
    while certificate(&other, ONE).is_null() {
        assert!(Instant::now() < deadline);
        call_in(&other, ONE);
    }
}

#[test]
fn certificates_are_fetched_and_credited_later_while_the_store_cannot_be_written() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let database = server.create_database();
    let host = Host::start(&format!("database_url = \"{}\"\n", database.url()));
    call_in(&host, ONE);
    server.stop();
    drop(fetching(&host, &format!("{CERTIFICATE}?sn={ONE}")));
    assert_eq!(host.call("POST", AUDIT, batch(2)).status(), 503);
    server.restart();
    let deadline = Instant::now() + Duration::from_mins(1);
    while host
        .call("POST", &format!("{AUDIT}?sn={ONE}"), batch(2))
        .status()
        == 503
    {
        assert!(Instant::now() < deadline);
    }
    while certificate(&host, ONE).is_null() {
        assert!(Instant::now() < deadline);
        call_in(&host, ONE);
    }
}
