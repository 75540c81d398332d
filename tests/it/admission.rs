//! How many connections may be open, and what happens when there are more.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::{
    Daemon, Installation, connect, connect_from, get, get_from, standard, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANOTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn daemon_with(limits: &str) -> Daemon {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[limits]", limits);
    Daemon::start(&installation)
}

/// Whether the server hangs up without a word.
fn is_turned_away(mut stream: TcpStream) -> bool {
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said.is_empty()
}

#[test]
fn connections_in_all_are_bounded_and_places_come_back() {
    let mut daemon = daemon_with("connections = 4");
    let held: Vec<_> = [daemon.http, daemon.https, daemon.http, daemon.https]
        .map(connect)
        .into();
    daemon.wait_for_metric("open_connections", &[], 4);
    for (listener, address) in [("http", daemon.http), ("https", daemon.https)] {
        assert!(is_turned_away(connect(address)), "{listener}");
        let labels = [("listener", listener), ("limit", "connections")];
        daemon.wait_for_metric("refusals_total", &labels, 1);
    }
    let line = daemon.wait_for("`[limits] connections = 4` is reached");
    assert!(line.contains("WARN"), "{line}");
    drop(held);
    // Places are given back as the daemon notices, and until then it hangs up.
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.0\r\n\r\n");
    let is_answered = (0..1_000).any(|_| {
        let (mut stream, mut answer) = (connect(daemon.http), Vec::new());
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.0 200 ")
    });
    assert!(is_answered);
    let config = trusting(&standard().root.der);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    // One line for the burst.
    assert_eq!(daemon.seen("is reached").count(), 1);
}

#[test]
fn one_address_is_bounded_and_others_are_not_hurt() {
    let mut daemon = daemon_with("connections_per_address = 3");
    let held: Vec<_> = [daemon.http, daemon.https, daemon.http]
        .map(|address| connect_from(ONE, address))
        .into();
    daemon.wait_for_metric("open_connections", &[], 3);
    for (listener, address) in [("http", daemon.http), ("https", daemon.https)] {
        assert!(is_turned_away(connect_from(ONE, address)), "{listener}");
        let labels = [("listener", listener), ("limit", "connections_per_address")];
        daemon.wait_for_metric("refusals_total", &labels, 1);
    }
    daemon.wait_for("`[limits] connections_per_address =");
    assert_eq!(get_from(ANOTHER, daemon.http, ANNOUNCEMENT).status(), 200);
    drop(held);
    daemon.wait_for_open_connections(0);
    assert_eq!(get_from(ONE, daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn without_a_configured_bound_loopback_is_not_counted() {
    let mut daemon = daemon_with("drain_seconds = 1");
    let _held: Vec<_> = (0..100).map(|_| connect(daemon.http)).collect();
    daemon.wait_for_metric("open_connections", &[("listener", "http")], 100);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

/// The descriptor table is shared, so while it is full the admin listener answers nobody new
/// either: what happened is read from the log, and from the metrics afterwards.
#[test]
fn a_full_descriptor_table_is_logged_once_counted_and_survived() {
    let mut daemon = daemon_with("connections = 1000");
    let limit = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    // Behind its back, as only an administrator can.
    let process = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    prlimit(process, Resource::Nofile, limit).unwrap();
    let config = trusting(&standard().root.der);
    for _ in 0..2 {
        // The kernel completes these connections; the daemon has no descriptor for all of them.
        let held: Vec<_> = (0..100).map(|_| connect(daemon.http)).collect();
        let line = daemon.wait_for("http listener cannot accept connections");
        assert!(line.contains("Too many open files"), "{line}");
        drop(held);
        daemon.wait_for_open_connections(0);
        assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
        assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    }
    daemon.wait_for_metric("accept_errors_total", &[("listener", "http")], 1);
    assert_eq!(daemon.seen("http listener cannot accept").count(), 1);
}
