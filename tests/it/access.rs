//! Who is answered, and whom a balancer speaks for.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::harness::{
    Daemon, Installation, Response, connect, connect_from, get, get_from, read_to_end, shown,
    standard, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 44, 0, 1));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn installation(access: &str) -> Installation {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[access]", access);
    installation
}

/// What the server says to a client that sends `bytes` and then only listens. A reset is an end.
fn said_to(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

fn request() -> Vec<u8> {
    format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
}

#[test]
fn callers_outside_get_401_on_80_and_not_a_byte_on_443() {
    let mut daemon = Daemon::start(&installation("allow = [\"127.44.0.0/16\"]"));
    let inside = get_from(INSIDE, daemon.http, ANNOUNCEMENT);
    assert_eq!(inside.status(), 200);
    for target in [
        ANNOUNCEMENT,
        "/static/Device_Certificates/partner_CA.der",
        "/x",
    ] {
        let refused = get_from(OUTSIDE, daemon.http, target);
        assert_eq!(refused.status(), 401, "{target}");
        assert_eq!(refused.body, br#"{"error":"unauthorized"}"#);
        assert_eq!(refused.header("Content-Type"), Some("application/json"));
        assert_eq!(refused.header("Content-Length"), Some("24"));
        assert_eq!(
            refused.header("Www-Authenticate"),
            Some("Basic realm=\"engage-host\""),
            "{}",
            refused.head
        );
    }
    assert_eq!(
        said_to(connect_from(OUTSIDE, daemon.https), &client_hello()),
        b""
    );
    assert!(said_to(connect_from(INSIDE, daemon.https), &client_hello()).starts_with(b"\x16"));
    let line = daemon.wait_for("is outside `[access] allow`");
    assert!(line.contains("http caller 127.0.0.1:"), "{line}");
    for (listener, least) in [("http", 3), ("https", 1)] {
        let labels = [("listener", listener), ("limit", "allow")];
        daemon.wait_for_metric("refusals_total", &labels, least);
    }
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("tls_handshakes_total", &[]), 0);
}

pub(crate) fn client_hello() -> Vec<u8> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn on_a_dual_stack_listener_ipv4_callers_are_known_by_their_ipv4_address() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this computer has no IPv6");
        return;
    }
    let installation = installation("allow = [\"127.44.0.0/16\", \"::1\"]");
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"[::]:0\"");
    let mut daemon = Daemon::start(&installation);
    let port = daemon.http.port();
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(get_from(INSIDE, v4, ANNOUNCEMENT).status(), 200);
    daemon.wait_for("peer=127.44.0.1:");
    assert_eq!(get_from(OUTSIDE, v4, ANNOUNCEMENT).status(), 401);
    let v6: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    assert_eq!(get(v6, ANNOUNCEMENT).status(), 200);
    daemon.wait_for("peer=[::1]:");
}

#[test]
fn an_ipv6_caller_outside_is_refused() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this computer has no IPv6");
        return;
    }
    let installation = installation("allow = [\"2001:db8::/32\", \"127.0.0.0/8\"]");
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"[::1]:0\"");
    let daemon = Daemon::start(&installation);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 401);
}

#[test]
fn an_empty_list_lets_nobody_in() {
    let daemon = Daemon::start(&installation("allow = []"));
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 401);
    assert_eq!(said_to(connect(daemon.https), &client_hello()), b"");
}

#[test]
fn a_network_with_host_bits_is_an_error_with_the_network_that_was_meant() {
    let installation = installation("allow = [\"10.44.0.1/16\"]");
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    insta::assert_snapshot!("host_bits", shown(&installation, &refused.errors()));
}

/// A daemon behind a balancer at 127.0.0.2 that lets in devices of 10.44.0.0/16.
fn behind_balancer() -> Daemon {
    Daemon::start(&installation(
        "proxy_protocol_from = [\"127.0.0.2\"]\nallow = [\"10.44.0.0/16\", \"127.0.0.0/8\"]",
    ))
}

/// Version 2: `command` 1 is PROXY, 0 is LOCAL; TCP over IPv4.
fn header_v2(command: u8, source: [u8; 4], port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, 0x11, 0, 12]);
    header.extend(source);
    header.extend([10, 0, 0, 1]);
    header.extend(port.to_be_bytes());
    header.extend(80_u16.to_be_bytes());
    header
}

fn header_v1(source: &str, port: u16) -> Vec<u8> {
    format!("PROXY TCP4 {source} 10.0.0.1 {port} 80\r\n").into_bytes()
}

#[test]
fn behind_a_balancer_logs_and_lists_see_the_device() {
    let mut daemon = behind_balancer();
    for (header, peer) in [
        (header_v1("10.44.1.7", 49152), "peer=10.44.1.7:49152"),
        (header_v2(1, [10, 44, 1, 8], 49153), "peer=10.44.1.8:49153"),
    ] {
        let sent = [header.clone(), request()].concat();
        let said = said_to(connect_from(BALANCER, daemon.http), &sent);
        assert_eq!(Response::parse(&said).status(), 200);
        daemon.wait_for(peer);
        // Header and hello in one packet.
        let answer = tls_get_behind(&daemon, &header);
        assert_eq!(answer.status(), 200);
        let line = daemon.wait_for_count(peer, 2);
        assert!(line.contains("listener=https"), "{line}");
    }
    for header in [header_v1("10.45.1.7", 1), header_v2(1, [10, 45, 1, 8], 1)] {
        let sent = [header.clone(), request()].concat();
        let said = said_to(connect_from(BALANCER, daemon.http), &sent);
        assert_eq!(Response::parse(&said).status(), 401);
        let sent = [header, client_hello()].concat();
        assert_eq!(said_to(connect_from(BALANCER, daemon.https), &sent), b"");
    }
    let line = daemon.wait_for("is outside `[access] allow`");
    assert!(line.contains("10.45.1.7:1"), "{line}");
}

/// A TLS session whose very first packet starts with `header`.
fn tls_get_behind(daemon: &Daemon, header: &[u8]) -> Response {
    let name = ServerName::from(daemon.https.ip());
    let session = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
    let mut session = session;
    let mut first = header.to_vec();
    session.write_tls(&mut first).unwrap();
    let mut stream = connect_from(BALANCER, daemon.https);
    stream.write_all(&first).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    stream.write_all(&request()).unwrap();
    Response::parse(&read_to_end(&mut stream))
}

/// Version 2 with any family and any addresses.
fn header_v2_of(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    header.extend(addresses);
    header
}

/// Headers that name nobody, although some of them hold addresses, and whether they say that the
/// balancer itself calls.
fn headers_without_a_caller() -> Vec<(Vec<u8>, bool)> {
    let inside = [10, 44, 1, 7, 10, 0, 0, 1, 0xc0, 0, 0, 80];
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    vec![
        (b"PROXY UNKNOWN\r\n".to_vec(), false),
        (
            b"PROXY UNKNOWN 10.44.1.7 10.0.0.1 49152 80\r\n".to_vec(),
            false,
        ),
        (
            format!("PROXY UNKNOWN {long} {long} 65535 65535\r\n").into_bytes(),
            false,
        ),
        // Unspecified, with and without what could be addresses, and a Unix socket.
        (header_v2_of(1, 0x00, &[]), false),
        (header_v2_of(1, 0x00, &inside), false),
        (header_v2_of(1, 0x31, &[0; 216]), false),
        // LOCAL, whatever else it says.
        (header_v2_of(0, 0x00, &[]), true),
        (header_v2_of(0, 0x00, &inside), true),
        (header_v2_of(0, 0x11, &inside), true),
        (header_v2(0, [10, 45, 0, 1], 7), true),
    ]
}

#[test]
fn a_balancer_that_names_nobody_is_held_against_the_list_itself() {
    for (allow, is_balancer_inside) in [("10.44.0.0/16", false), ("127.0.0.2", true)] {
        let mut daemon = Daemon::start(&installation(&format!(
            "proxy_protocol_from = [\"127.0.0.2\"]\nallow = [\"{allow}\"]"
        )));
        for (header, is_own) in headers_without_a_caller() {
            let is_answered = is_own || is_balancer_inside;
            let sent = [header.clone(), request()].concat();
            let said = said_to(connect_from(BALANCER, daemon.http), &sent);
            let status = Response::parse(&said).status();
            assert_eq!(status, if is_answered { 200 } else { 401 }, "{header:?}");
            let sent = [header.clone(), client_hello()].concat();
            let mut stream = connect_from(BALANCER, daemon.https);
            stream.write_all(&sent).unwrap();
            // A handshake begins, or it is closed without a byte.
            let is_handshake = matches!(stream.read(&mut [0]), Ok(1));
            assert_eq!(is_handshake, is_answered, "{header:?}");
        }
        daemon.wait_for_count("peer=127.0.0.2:", 10);
        daemon.terminate();
        // No address in such a header is anybody's.
        let (_, log) = daemon.finish();
        assert!(
            !log.contains("10.44.1.7") && !log.contains("10.45.0.1"),
            "{log}"
        );
    }
}

#[test]
fn a_header_may_arrive_byte_by_byte() {
    let mut daemon = behind_balancer();
    for header in [
        header_v1("10.44.1.9", 4711),
        header_v2(1, [10, 44, 1, 9], 4711),
    ] {
        let mut stream = connect_from(BALANCER, daemon.http);
        stream.set_nodelay(true).unwrap();
        for byte in header {
            stream.write_all(&[byte]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let said = said_to(stream, &request());
        assert_eq!(Response::parse(&said).status(), 200);
    }
    daemon.wait_for_count("peer=10.44.1.9:4711", 2);
}

#[test]
fn a_header_from_anybody_else_is_not_believed() {
    let daemon = behind_balancer();
    for header in [header_v1("10.44.1.7", 1), header_v2(1, [10, 44, 1, 7], 1)] {
        let said = said_to(connect(daemon.http), &[header.clone(), request()].concat());
        assert_eq!(Response::parse(&said).status(), 400);
        let said = said_to(connect(daemon.https), &[header, client_hello()].concat());
        // At most an alert (21), never a handshake (22).
        assert_ne!(said.first(), Some(&0x16), "{said:?}");
    }
    let config = trusting(&standard().root.der);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
}

#[test]
fn a_balancer_without_a_usable_header_is_cut_off() {
    let installation = installation("proxy_protocol_from = [\"127.0.0.2\"]");
    installation.set("[limits]", "request_head_seconds = 1");
    let mut daemon = Daemon::start(&installation);
    let mut endless = header_v2(1, [10, 44, 1, 7], 1);
    // Announces 65,535 bytes and sends 8,000 of them.
    endless[14..16].copy_from_slice(&[0xff, 0xff]);
    endless.extend([0; 8000]);
    for (at, bytes) in [
        request(),
        b"PROXY TCP4 nonsense\r\n".to_vec(),
        b"PROXY TCP4 10.44.1.7 ".to_vec(),
        vec![b'P'; 5000],
        endless,
        header_v2(1, [10, 44, 1, 7], 1)[..20].to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            said_to(connect_from(BALANCER, daemon.http), &bytes),
            b"",
            "{at}"
        );
        let labels = [("listener", "http"), ("limit", "proxy_protocol")];
        daemon.wait_for_metric("refusals_total", &labels, at as u64 + 1);
    }
    let line = daemon.wait_for("has no usable PROXY protocol header");
    assert!(
        line.contains("http connection from balancer 127.0.0.2:"),
        "{line}"
    );
}
