//! The header of a balancer, malformed: nothing of it is believed, and nobody else's connection
//! suffers.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};

use crate::access::client_hello;
use crate::harness::{Daemon, Installation, Response, connect_from, standard};

const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const REQUEST: &[u8] =
    b"GET /swordfish/lock/certificates/current HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What becomes of a connection that begins with a header.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It is closed without a byte.
    Closed,
    /// The header is taken, and what follows is a request.
    Answered(u16),
}
use Outcome::{Answered, Closed};

/// Version 2: byte 13 (version and command), 14 (family and protocol), the length that it states, and what follows.
fn v2(version: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([version, family]);
    header.extend(length.to_be_bytes());
    header.extend(rest);
    header
}

const V1: &[u8] = b"PROXY TCP4 10.44.1.7 10.0.0.1 49152 80\r\n";
/// Addresses and ports of TCP over IPv4.
const IPV4: [u8; 12] = [10, 44, 1, 7, 10, 0, 0, 1, 0xc0, 0, 0, 80];

#[expect(clippy::too_many_lines, reason = "a table")]
fn headers() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let good = v2(0x21, 0x11, 12, &IPV4);
    let v1 = |text: &str| text.as_bytes().to_vec();
    vec![
        ("v1", V1.to_vec(), Answered(200)),
        (
            "v1 in lower case",
            v1("proxy TCP4 10.44.1.7 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        ("v1 without protocol", v1("PROXY\r\n"), Closed),
        (
            "v1 of another protocol",
            v1("PROXY UDP4 10.44.1.7 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with one address",
            v1("PROXY TCP4 10.44.1.7 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with one port",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 49152\r\n"),
            Closed,
        ),
        (
            "v1 with three ports",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 49152 80 81\r\n"),
            Closed,
        ),
        (
            "v1 with two spaces",
            v1("PROXY  TCP4 10.44.1.7 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with tabs",
            v1("PROXY\tTCP4\t10.44.1.7\t10.0.0.1\t49152\t80\r\n"),
            Closed,
        ),
        (
            "v1 with a port too large",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 65536 80\r\n"),
            Closed,
        ),
        (
            "v1 with a negative port",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 -1 80\r\n"),
            Closed,
        ),
        (
            "v1 with a padded port",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 049152 80\r\n"),
            Closed,
        ),
        (
            "v1 with a name",
            v1("PROXY TCP4 localhost 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with a padded address",
            v1("PROXY TCP4 010.44.1.7 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with IPv6 as TCP4",
            v1("PROXY TCP4 fd00::1 fd00::2 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with IPv4 as TCP6",
            v1("PROXY TCP6 10.44.1.7 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 with LF only",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 49152 80\n"),
            Closed,
        ),
        (
            "v1 with CR only",
            v1("PROXY TCP4 10.44.1.7 10.0.0.1 49152 80\r"),
            Closed,
        ),
        (
            "v1 with NUL",
            v1("PROXY TCP4 10.44.1.7\0 10.0.0.1 49152 80\r\n"),
            Closed,
        ),
        (
            "v1 that is not UTF-8",
            b"PROXY TCP4 10.44.1.\xff 10.0.0.1 49152 80\r\n".to_vec(),
            Closed,
        ),
        (
            "v1 of 108 bytes",
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).into_bytes(),
            Closed,
        ),
        (
            "v1 whose 107th byte is a CR, and no LF follows",
            format!("PROXY UNKNOWN {}\r{}", "x".repeat(92), "y".repeat(6)).into_bytes(),
            Closed,
        ),
        (
            "v1 of 107 bytes",
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)).into_bytes(),
            Answered(200),
        ),
        ("v1 behind an empty line", [b"\r\n", V1].concat(), Closed),
        ("v1 behind a space", [b" ", V1].concat(), Closed),
        ("v1 behind a request", [REQUEST, V1].concat(), Closed),
        ("v1 twice", [V1, V1].concat(), Answered(400)),
        ("v1 and v2", [V1, &good].concat(), Answered(400)),
        ("v2", good.clone(), Answered(200)),
        ("v2 and v1", [&good, V1].concat(), Answered(400)),
        (
            "v2 twice",
            [good.clone(), good.clone()].concat(),
            Answered(400),
        ),
        (
            "v2 that ends in the request",
            v2(0x21, 0x11, 20, &IPV4),
            Answered(400),
        ),
        (
            "v2 with extensions",
            v2(0x21, 0x11, 16, &[&IPV4[..], &[4, 0, 1, 0]].concat()),
            Answered(200),
        ),
        (
            "v2 with 4080 bytes",
            v2(0x21, 0x11, 4080, &[&IPV4[..], &[0; 4068]].concat()),
            Answered(200),
        ),
        (
            "v2 with 4081 bytes",
            v2(0x21, 0x11, 4081, &[&IPV4[..], &[0; 4069]].concat()),
            Closed,
        ),
        (
            "v2 with 65,535 bytes",
            v2(0x21, 0x11, 0xffff, &[&IPV4[..], &[0; 65523]].concat()),
            Closed,
        ),
        ("v2 of version 1", v2(0x11, 0x11, 12, &IPV4), Closed),
        ("v2 of version 3", v2(0x31, 0x11, 12, &IPV4), Closed),
        ("v2 of another command", v2(0x22, 0x11, 12, &IPV4), Closed),
        ("v2 of another family", v2(0x21, 0x41, 12, &IPV4), Closed),
        ("v2 of another protocol", v2(0x21, 0x13, 12, &IPV4), Closed),
        ("v2 without addresses", v2(0x21, 0x11, 0, &[]), Closed),
        (
            "v2 with half of an address",
            v2(0x21, 0x11, 2, &IPV4[..2]),
            Closed,
        ),
        ("v2 with IPv4 as IPv6", v2(0x21, 0x21, 12, &IPV4), Closed),
        (
            "v2 with a damaged signature",
            [b"\r\n\r\n\0\r\nQUIT\r", &good[12..]].concat(),
            Closed,
        ),
        (
            "v2 behind an empty line",
            [b"\r\n", &good[..]].concat(),
            Closed,
        ),
        ("garbage", (0..=255).rev().collect(), Closed),
        ("zeros", vec![0; 5000], Closed),
        ("a request", REQUEST.to_vec(), Closed),
    ]
}

#[test]
fn each_header_has_its_one_outcome() {
    let mut daemon = daemon();
    for (name, header, outcome) in headers() {
        let said = said_to(daemon.http, &[&header, REQUEST].concat());
        match outcome {
            Closed => assert_eq!(String::from_utf8_lossy(&said), "", "{name}"),
            Answered(status) => assert_eq!(Response::parse(&said).status(), status, "{name}"),
        }
        let said = said_to(daemon.https, &[header, client_hello()].concat());
        // A handshake, else at most an alert.
        assert_eq!(
            said.first() == Some(&0x16),
            outcome == Answered(200),
            "{name}"
        );
        assert!(outcome != Closed || said.is_empty(), "{name}: {said:?}");
    }
    for listener in ["http", "https"] {
        let labels = [("listener", listener), ("limit", "proxy_protocol")];
        daemon.wait_for_metric("refusals_total", &labels, 30);
    }
}

#[test]
fn a_header_that_breaks_off_ends_its_connection() {
    let daemon = daemon();
    for header in [V1.to_vec(), v2(0x21, 0x11, 12, &IPV4)] {
        for length in 0..header.len() {
            for address in [daemon.http, daemon.https] {
                assert_eq!(said_to(address, &header[..length]), b"", "{length}");
            }
        }
    }
}

fn daemon() -> Daemon {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[access]", "proxy_protocol_from = [\"127.0.0.2\"]");
    Daemon::start(&installation)
}

/// What the server says to a balancer that sends `bytes` and ends. A reset is an end.
fn said_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect_from(BALANCER, address);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}
