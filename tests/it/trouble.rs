//! Clients that stall, hang up or speak nonsense: nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::harness::{
    Daemon, Installation, Response, close_sending, connect, exchange, get, read_to_end, standard,
    tls_connect, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

fn daemon() -> Daemon {
    Daemon::start(&Installation::new(standard()))
}

/// Both listeners answer, long before the daemon gives up on whoever stalls.
fn assert_served(daemon: &Daemon) {
    let started = Instant::now();
    let config = trusting(&standard().root.der);
    for _ in 0..5 {
        assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
        assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

/// The first message of a handshake, whole.
fn client_hello() -> Vec<u8> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn clients_that_stall_in_the_handshake_delay_nobody() {
    let daemon = daemon();
    let hello = client_hello();
    let stalled: Vec<TcpStream> = [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()]
        .iter()
        .cycle()
        .take(60)
        .map(|sent| {
            let mut stream = connect(daemon.https);
            stream.write_all(&hello[..*sent]).unwrap();
            stream
        })
        .collect();
    assert_served(&daemon);
    assert_eq!(stalled.len(), 60);
}

#[test]
fn a_stalled_handshake_is_ended_within_its_deadline() {
    let mut daemon = daemon();
    let mut stalled = connect(daemon.https);
    stalled.write_all(&client_hello()[..5]).unwrap();
    let mut rest = Vec::new();
    // 15 s, well within the 30 s that the client waits.
    let _ = stalled.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    daemon.wait_for("reason=\"timed-out\"");
    assert_served(&daemon);
}

#[test]
fn clients_that_stall_in_the_request_delay_nobody() {
    let daemon = daemon();
    let config = trusting(&standard().root.der);
    let mut plain = connect(daemon.http);
    plain.write_all(b"GET /swordfish/lock/certif").unwrap();
    let mut tls = tls_connect(daemon.https, &config);
    tls.write_all(b"GET /swordfish/lock/certif").unwrap();
    tls.flush().unwrap();
    assert_served(&daemon);
    // They may still go on.
    for stream in [&mut plain as &mut dyn ReadWrite, &mut tls] {
        stream
            .write_all(b"icates/current HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(Response::parse(&read_to_end(stream)).status(), 200);
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let daemon = daemon();
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut plain = connect(daemon.http);
    plain.write_all(request.as_bytes()).unwrap();
    close_sending(&plain);
    assert_eq!(Response::parse(&read_to_end(&mut plain)).status(), 200);

    let mut tls = tls_connect(daemon.https, &trusting(&standard().root.der));
    tls.write_all(request.as_bytes()).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    close_sending(&tls.sock);
    assert_eq!(Response::parse(&read_to_end(&mut tls)).status(), 200);
}

#[test]
fn nonsense_on_443_disturbs_nobody() {
    let daemon = daemon();
    for nonsense in [
        format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x80\x2e\x01\x00\x02",
        &[0; 4096],
        b"",
    ] {
        let mut stream = connect(daemon.https);
        stream.write_all(nonsense).unwrap();
        close_sending(&stream);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/"), "{nonsense:?}");
    }
    assert_served(&daemon);
}

#[test]
fn a_client_that_does_not_trust_the_server_is_logged_and_disturbs_nobody() {
    let mut daemon = daemon();
    let untrusting = trusting(&standard().server.der);
    let mut stream = tls_connect(daemon.https, &untrusting);
    assert!(stream.write_all(b"GET / HTTP/1.1\r\n\r\n").is_err());
    drop(stream);
    let line = daemon.wait_for("TLS handshake with");
    assert!(line.contains("WARN"), "{line}");
    assert!(
        line.contains("does not trust the served chain: alert unknown_ca"),
        "{line}"
    );
    assert_served(&daemon);
}

#[test]
fn a_client_that_hangs_up_early_disturbs_nobody() {
    let daemon = daemon();
    for _ in 0..50 {
        drop(connect(daemon.http));
        drop(connect(daemon.https));
        let mut stream = connect(daemon.http);
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
    }
    assert_served(&daemon);
    assert_eq!(
        exchange(daemon.http, "\r\n\r\n\r\nx\r\n\r\n")[..12],
        *b"HTTP/1.1 400"
    );
}
