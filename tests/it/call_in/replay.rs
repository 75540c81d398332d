//! A call-in, byte for byte as a device sends it, and each answer byte for byte.

use std::io::{Read, Write};
use std::net::SocketAddr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::DEVICE;
use crate::harness::{
    Daemon, Host, Response, read_answer, read_to_end, standard, tls_connect, trusting, wire_text,
};

/// The calls of a night, in the documented order (PROTOCOL.md section 4).
const CALLS: [&[u8]; 4] = [
    include_bytes!("../fixtures/call-in-1-config.http"),
    include_bytes!("../fixtures/call-in-2-db.http"),
    include_bytes!("../fixtures/call-in-3-audit.http"),
    include_bytes!("../fixtures/call-in-4-alert.http"),
];

const PASSWORD: &str = "hunter2-battery-staple";

/// TLS only, as it is without configuration; the time zone makes the window known.
fn host() -> Host {
    let installation = Host::installation("");
    installation.edit("plain_http = true\n", "");
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

/// One connection for the whole night; every byte in a TLS record of its own.
fn kept_alive(address: SocketAddr) -> Vec<Response> {
    let mut stream = tls_connect(address, &trusting(&standard().root.der));
    let answers = CALLS.map(|call| {
        for byte in call {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.flush().unwrap();
        read_answer(&mut stream)
    });
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "more than the answers");
    answers.to_vec()
}

/// A connection for each call.
fn closed(address: SocketAddr) -> Vec<Response> {
    let config = trusting(&standard().root.der);
    let answers = CALLS.map(|call| {
        let mut stream = tls_connect(address, &config);
        let line_end = call.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (line, rest) = call.split_at(line_end);
        stream
            .write_all(&[line, b"Connection: close\r\n", rest].concat())
            .unwrap();
        Response::parse(&read_to_end(&mut stream))
    });
    answers.to_vec()
}

/// The answers as text, after the time of the next call has been judged.
fn text(answers: &[Response]) -> String {
    let texts = answers.iter().map(|answer| {
        let body = String::from_utf8(answer.body.clone()).unwrap();
        let shown = wire_text(format!("{}\r\n{body}", answer.head).as_bytes());
        match body.split_once("\"dbDwnLdTm\":\"") {
            Some((_, rest)) => {
                assert_next_call(&rest[..14]);
                shown.replace(&rest[..14], "[next]")
            }
            None => shown,
        }
    });
    texts.collect::<Vec<_>>().join("\n---\n")
}

/// Between midnight and four, tonight or tomorrow night.
fn assert_next_call(next: &str) {
    let next = DateTime::strptime("%Y%m%d%H%M%S", next).unwrap();
    assert!(next.hour() < 4, "{next}");
    let ahead = next
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap()
        .timestamp()
        .duration_since(Timestamp::now());
    assert!(ahead > SignedDuration::from_mins(58), "{next}: {ahead}");
    assert!(ahead <= SignedDuration::from_hours(25), "{next}: {ahead}");
}

/// What the fixtures leave in the store.
fn assert_recorded(host: &Host) {
    let body = CALLS[0].split(|byte| *byte == b'\n').next_back().unwrap();
    let config = host.installation.config(DEVICE).unwrap();
    assert_eq!(config, body, "the upload is stored as it arrived");
    assert_eq!(host.codes(DEVICE), ["11111111", "0B040001"]);
    let alerts = host.installation.alerts(DEVICE);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["code"], "0B050002");
}

#[test]
fn a_whole_call_in_on_one_connection() {
    let host = host();
    insta::assert_snapshot!(text(&kept_alive(host.daemon.https)));
    assert_recorded(&host);
}

#[test]
fn a_whole_call_in_with_a_connection_for_each_call() {
    let host = host();
    insta::assert_snapshot!(text(&closed(host.daemon.https)));
    assert_recorded(&host);
}

#[test]
fn the_second_night_is_acknowledged_as_an_update_and_stored_once() {
    let host = host();
    let status = |answers: Vec<Response>| answers.iter().map(Response::status).collect::<Vec<_>>();
    assert_eq!(status(closed(host.daemon.https)), [200, 200, 201, 201]);
    assert_eq!(status(kept_alive(host.daemon.https)), [200, 200, 202, 202]);
    assert_recorded(&host);
}

#[test]
fn the_device_record_says_what_the_night_was_like() {
    let host = host();
    closed(host.daemon.https);
    // Notes are written at the latest when the daemon ends.
    let (installation, _) = host.stop();
    let record = installation.record(DEVICE);
    assert_eq!(record["device"], DEVICE);
    assert_eq!(record["address"], "127.0.0.1");
    assert_eq!(record["model"], "NDE80");
    assert_eq!(record["firmware"], "02.11.03");
    assert_eq!(record["battery"], "6.1");
    assert_eq!(record["tls"]["value"], "1.3");
    assert_next_call(record["next_call_in"]["value"].as_str().unwrap());
    assert!(!record.to_string().contains(PASSWORD), "{record}");
}

#[test]
fn wi_fi_credentials_and_passwords_are_not_in_the_log_at_trace_level() {
    let installation = Host::installation("");
    let daemon = Daemon::start_with(&installation, |command| {
        command.env("RUST_LOG", "trace");
    });
    assert_eq!(kept_alive(daemon.https)[0].status(), 200);
    // Also where it is refused.
    let broken = CALLS[0].rsplit(|byte| *byte == b'{').next().unwrap();
    let host = Host {
        installation,
        daemon,
    };
    let answer = host.call(
        "PUT",
        super::CONFIG,
        broken.rsplit(|b| *b == b'\n').next().unwrap(),
    );
    assert_eq!(answer.status(), 400);
    host.daemon.terminate();
    let (code, log) = host.daemon.finish();
    assert_eq!(code, Some(0));
    assert!(log.contains("refused and kept in quarantine"), "{log}");
    for secret in [
        PASSWORD,
        "lock-radius",
        "secret-of-the-lock",
        "MDEyMzQ1Njc4OWFiY2RlZjpzZWNyZXQtb2YtdGhlLWxvY2s",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
