//! Every wait for a client ends, and is counted by the limit that ended it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Daemon, Host, Installation, affordable, connect, get, read_answer, request, standard,
    tls_connect, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// A daemon with one short limit; the others keep their long defaults.
fn daemon_with(limit: &str) -> Daemon {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[limits]", limit);
    Daemon::start(&installation)
}

/// Reads until the server hangs up, and returns what it said and how long that took.
fn hung_up(mut stream: &TcpStream) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    (said, started.elapsed())
}

fn assert_refused(daemon: &mut Daemon, listener: &str, limit: &str) {
    daemon.wait_for_metric(
        "refusals_total",
        &[("listener", listener), ("limit", limit)],
        1,
    );
    daemon.wait_for_open_connections(0);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn a_silent_handshake() {
    let mut daemon = daemon_with("tls_handshake_seconds = 1");
    let (said, waited) = hung_up(&connect(daemon.https));
    assert_eq!(said, b"");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    daemon.wait_for("it connected and sent nothing in the time allowed");
    assert_refused(&mut daemon, "https", "tls_handshake_seconds");
}

#[test]
fn a_silent_client_on_the_plain_port() {
    let mut daemon = daemon_with("request_head_seconds = 1");
    let (_, waited) = hung_up(&connect(daemon.http));
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert_refused(&mut daemon, "http", "request_head_seconds");
}

#[test]
fn a_silent_client_after_the_handshake() {
    let mut daemon = daemon_with("request_head_seconds = 1");
    let mut tls = tls_connect(daemon.https, &trusting(&standard().root.der));
    tls.flush().unwrap();
    hung_up(&tls.sock);
    assert_refused(&mut daemon, "https", "request_head_seconds");
}

/// Sends a byte of `bytes` after the other until the server hangs up. The pause makes it slow; the
/// test waits for the server, not for the pause.
fn drip(stream: &TcpStream, bytes: impl IntoIterator<Item = u8>) -> Duration {
    let mut sending = stream.try_clone().unwrap();
    let started = Instant::now();
    for byte in bytes {
        assert!(started.elapsed() < Duration::from_secs(15), "it never ends");
        if sending.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    started.elapsed()
}

#[test]
fn a_request_head_that_drips() {
    let mut daemon = daemon_with("request_head_seconds = 1");
    let stream = connect(daemon.http);
    let endless = b"GET / HTTP/1.1\r\nX: "
        .iter()
        .copied()
        .chain(std::iter::repeat(b'x'));
    drip(&stream, endless);
    assert_refused(&mut daemon, "http", "request_head_seconds");
}

#[test]
fn a_second_request_head_that_drips() {
    let mut daemon = daemon_with("request_head_seconds = 1");
    let mut stream = connect(daemon.http);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut stream).status(), 404);
    drip(&stream, b"GET / HTTP/1.1\r\nX: ".iter().copied().cycle());
    assert_refused(&mut daemon, "http", "request_head_seconds");
}

#[test]
fn a_body_that_drips_to_a_route_without_one() {
    let mut daemon = daemon_with("request_head_seconds = 1\nkeep_alive_idle_seconds = 1");
    let mut stream = connect(daemon.http);
    write!(
        stream,
        "POST {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    )
    .unwrap();
    // Answered at once, before the body; and nobody waits for that.
    assert_eq!(read_answer(&mut stream).status(), 405);
    drip(&stream, std::iter::repeat(b'x'));
    daemon.wait_for_open_connections(0);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

/// Both deadlines of a body, each counted by its own name.
#[test]
fn a_body_that_drips_and_one_that_stops() {
    for (limits, limit) in [
        ("body_total_seconds = 1", "body_total_seconds"),
        ("body_idle_seconds = 1", "body_idle_seconds"),
    ] {
        let installation = Host::installation("");
        installation.set("[limits]", limits);
        let mut daemon = Daemon::start(&installation);
        let mut stream = connect(daemon.http);
        let head = request(
            "POST",
            "/swordfish/lock/audit?sn=FEDCBA9876543210",
            "Content-Length: 1000000\r\n",
            b"",
        );
        stream.write_all(&head).unwrap();
        if limit == "body_total_seconds" {
            drip(&stream, std::iter::repeat(b' '));
        } else {
            hung_up(&stream);
        }
        assert_refused(&mut daemon, "http", limit);
    }
}

#[test]
fn an_idle_kept_alive_connection() {
    let mut daemon = daemon_with("keep_alive_idle_seconds = 1");
    let mut plain = connect(daemon.http);
    let mut tls = tls_connect(daemon.https, &trusting(&standard().root.der));
    for stream in [&mut plain as &mut dyn ReadWrite, &mut tls] {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut stream = stream;
        assert_eq!(read_answer(&mut stream).status(), 404);
    }
    let (said, waited) = hung_up(&plain);
    assert_eq!(said, b"");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    hung_up(&tls.sock);
    for listener in ["http", "https"] {
        assert_refused(&mut daemon, listener, "keep_alive_idle_seconds");
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_client_that_does_not_take_its_answers() {
    let mut daemon = daemon_with("stalled_write_seconds = 1");
    let stream = connect(daemon.http);
    let mut sending = stream.try_clone().unwrap();
    sending
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(100);
    // Until both directions are full, and then until the server gives up.
    let given_up = (0..100_000).any(|_| sending.write_all(request.as_bytes()).is_err());
    assert!(given_up);
    assert_refused(&mut daemon, "http", "stalled_write_seconds");
}

#[test]
fn heads_over_the_bounds_are_refused_at_once() {
    let daemon = daemon_with("request_headers = 64\nrequest_head_bytes = 8192");
    let head = |lines: String| format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    for (status, request) in [
        (200, head("X: y\r\n".repeat(63))),
        (431, head("X: y\r\n".repeat(64))),
        (200, head(format!("X: {}\r\n", "y".repeat(8000)))),
        (431, head(format!("X: {}\r\n", "y".repeat(8192)))),
        (431, head(format!("X: {}\r\n", "y".repeat(100_000)))),
    ] {
        let mut stream = connect(daemon.http);
        let _ = stream.write_all(request.as_bytes());
        assert_eq!(
            read_answer(&mut stream).status(),
            status,
            "{}",
            request.len()
        );
    }
}

/// `slowhttptest -c 2000 -H`, in small: with the limits as they are shipped.
#[test]
fn two_thousand_slow_heads_are_all_gone_within_16_seconds() {
    let clients = affordable(2000);
    let installation = Installation::new(standard()).with_admin();
    installation.set("[log]", "level = \"info,access=warn\"");
    let mut daemon = Daemon::start(&installation);
    let config = trusting(&standard().root.der);
    let started = Instant::now();
    let slow: Arc<Vec<TcpStream>> = Arc::new((0..clients).map(|_| connect(daemon.http)).collect());
    for mut stream in slow.iter() {
        stream.write_all(b"GET / HTTP/1.1\r\nX: y").unwrap();
    }
    let connected = started.elapsed();
    let dripping = thread::spawn({
        let slow = Arc::clone(&slow);
        move || {
            // A header line every few seconds, as slowhttptest does; errors are what is hoped for.
            for _ in 0..5 {
                thread::sleep(Duration::from_secs(3));
                for mut stream in slow.iter() {
                    let _ = stream.write_all(b"\r\nX: y");
                }
            }
        }
    });
    let mut slowest = Duration::ZERO;
    let labels = [("limit", "request_head_seconds")];
    while daemon.metrics().sum("refusals_total", &labels) < clients as u64 {
        assert!(started.elapsed() < connected + Duration::from_secs(16));
        let asked = Instant::now();
        assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
        assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
        slowest = slowest.max(asked.elapsed());
    }
    println!(
        "{clients} slow heads; all gone after {:?}; slowest other {slowest:?}",
        started.elapsed()
    );
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    dripping.join().unwrap();
    daemon.wait_for_open_connections(0);
}

/// `cargo test --release --test it -- --ignored --nocapture idle_sockets`
#[test]
#[ignore = "a measurement: needs 40,000 descriptors (`prlimit --nofile=50000 cargo test ..`)"]
fn ten_thousand_idle_sockets_leave_a_new_client_as_fast_as_before() {
    let idle = affordable(10_000);
    let installation = Installation::new(standard()).with_admin();
    installation.set(
        "[limits]",
        "tls_handshake_seconds = 600\nconnections = 15000",
    );
    installation.set("[log]", "level = \"error\"");
    // The lines that say where it listens are needed, and nothing else.
    installation.edit(
        "level = \"error\"",
        "level = \"warn,engage_host::server=info\"",
    );
    let mut daemon = Daemon::start(&installation);
    let before = percentile_99(&daemon);
    let sockets: Vec<_> = (0..idle).map(|_| connect(daemon.https)).collect();
    daemon.wait_for_metric("open_connections", &[("listener", "https")], idle as u64);
    let during = percentile_99(&daemon);
    drop(sockets);
    let after = percentile_99(&daemon);
    println!(
        "{idle} idle sockets on 443; p99 of a new client {before:?} before, {during:?} during, {after:?} after"
    );
    assert!(
        during < before * 2 + Duration::from_millis(5),
        "{before:?}, {during:?}"
    );
}

/// Of a new TLS client, from connecting to its answer.
fn percentile_99(daemon: &Daemon) -> Duration {
    let mut waited: Vec<_> = (0..1000)
        .map(|_| {
            // Its own configuration: nothing is resumed.
            let config = trusting(&standard().root.der);
            let started = Instant::now();
            assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
            started.elapsed()
        })
        .collect();
    waited.sort();
    waited[989]
}
