//! Whoever reads the log stands still (a stuck log shipper, Ctrl-S in a terminal): devices are
//! answered all the same, and the log says afterwards what is missing in it.

use std::io::Write;
use std::net::TcpStream;

use crate::harness::{
    Daemon, Installation, connect, exchange, get, read_answer, standard, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// Their access lines are twice as long as a pipe and the daemon's buffer together.
const REQUESTS: usize = 2400;

fn daemon() -> Daemon {
    Daemon::start(&Installation::new(standard()).with_admin())
}

/// Asks on one connection until the log has no room for what is said of it.
fn fill_the_log(daemon: &Daemon) {
    let path = "x".repeat(1000);
    let mut stream = connect(daemon.http);
    for number in 0..REQUESTS {
        assert_eq!(ask(&mut stream, &path), 404, "request {number}");
    }
}

fn ask(stream: &mut TcpStream, path: &str) -> u16 {
    // In one write, or Nagle's algorithm would wait between its parts.
    let request = format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(stream).status()
}

#[test]
fn devices_are_answered_while_nobody_reads_the_log() {
    let mut daemon = daemon();
    daemon.admin();
    let gate = daemon.log_gate();
    let held = gate.lock().unwrap();
    fill_the_log(&daemon);
    let config = trusting(&standard().root.der);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    let dropped = daemon.metrics().sum("log_lines_dropped_total", &[]);
    assert!(dropped > 0);

    // A warning finds room where access lines do not.
    exchange(daemon.https, "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        daemon.metrics().sum("log_lines_dropped_total", &[]),
        dropped
    );

    drop(held);
    daemon.wait_for("reason=\"not-tls\"");
    let line = daemon.wait_for("lines of the log were dropped");
    assert!(line.contains(" WARN "), "{line}");
    assert!(line.contains(&format!("dropped={dropped}")), "{line}");
    daemon.terminate();
    let (_, log) = daemon.finish();
    let written = log.matches(" access: ").count();
    assert_eq!(written + usize::try_from(dropped).unwrap(), REQUESTS + 2);
}

#[test]
fn a_stop_does_not_wait_for_whoever_reads_the_log() {
    let mut daemon = daemon();
    let gate = daemon.log_gate();
    let held = gate.lock().unwrap();
    fill_the_log(&daemon);
    daemon.terminate();
    assert_eq!(daemon.exit_code(), Some(0));
    drop(held);
}
