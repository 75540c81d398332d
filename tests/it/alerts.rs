//! What is no handshake is answered with the alert that the TLS library sends by itself.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use engage_wire::crypto_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use crate::harness::{Daemon, Installation, connect, standard, trusting};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [&[content_type, 3, 3][..], &length.to_be_bytes(), payload].concat()
}

fn client_hello() -> Vec<u8> {
    let config = trusting(&standard().root.der);
    let mut client =
        ClientConnection::new(config, "server.example.com".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A server of the library alone, with the same chain and key.
fn bare_server() -> ServerConnection {
    let chain = standard().pem();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(standard().server.key.pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

fn said_by_bare_server(mut sent: &[u8]) -> Vec<u8> {
    let (mut server, mut said) = (bare_server(), Vec::new());
    let mut is_open = true;
    while is_open && server.read_tls(&mut sent).unwrap() > 0 {
        is_open = server.process_new_packets().is_ok();
        while server.wants_write() {
            server.write_tls(&mut said).unwrap();
        }
    }
    said
}

/// What the daemon says to bytes that arrive in pieces of this many.
fn said_by_daemon(daemon: &Daemon, sent: &[u8], pieces: usize) -> Vec<u8> {
    let mut stream: TcpStream = connect(daemon.https);
    stream.set_nodelay(true).unwrap();
    for piece in sent.chunks(pieces) {
        // It may have refused what came before.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    // What had not been read when it refused makes a reset of its end.
    let _ = stream.read_to_end(&mut said);
    said
}

/// Type and length of the last record, which tells an alert from a whole flight, encrypted or not: how
/// long that is depends on extensions.
fn last_record(mut bytes: &[u8]) -> Option<(u8, usize)> {
    let mut last = None;
    while let [content_type, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        last = Some((*content_type, length.min(100)));
        bytes = &rest[length.min(rest.len())..];
    }
    last
}

/// A message in records of `size` bytes each.
fn fragments(message: &[u8], size: usize) -> Vec<u8> {
    let records = message.chunks(size).map(|part| record(HANDSHAKE, part));
    records.collect::<Vec<_>>().concat()
}

/// The first record is something else than a hello.
fn without_hello() -> Vec<(&'static str, Vec<u8>)> {
    let ccs = |payload: &[u8]| record(CHANGE_CIPHER_SPEC, payload);
    vec![
        ("application data", record(APPLICATION_DATA, b"hello")),
        ("an alert", record(ALERT, &[2, 40])),
        ("a warning", record(ALERT, &[1, 0])),
        ("half an alert", record(ALERT, &[2])),
        ("two alerts in one record", record(ALERT, &[1, 90, 2, 40])),
        ("an empty alert", record(ALERT, &[])),
        ("change cipher spec", ccs(&[1])),
        ("two in one record", ccs(&[1, 1])),
        ("many in one record", ccs(&[1; 300])),
        ("many records of it", ccs(&[1]).repeat(40)),
        ("an empty one", ccs(&[])),
        ("a wrong one", ccs(&[2])),
        ("an unknown type", record(99, b"x")),
        ("an empty handshake record", record(HANDSHAKE, &[])),
        ("many empty records", record(HANDSHAKE, &[]).repeat(40)),
        ("a server hello", record(HANDSHAKE, &[2, 0, 0, 2, 3, 3])),
        ("a finished", record(HANDSHAKE, &[20, 0, 0, 0])),
        ("a hello request", record(HANDSHAKE, &[0, 0, 0, 0])),
        ("a hello cut short", record(HANDSHAKE, &[1, 0, 0, 2, 3, 3])),
        (
            "a hello of 16 MiB",
            record(HANDSHAKE, &[1, 0xff, 0xff, 0xff, 3, 3]),
        ),
        (
            "too long a record",
            [&[HANDSHAKE, 3, 1, 0x48, 1][..], &[1; 0x4801]].concat(),
        ),
        (
            "the longest length",
            [&[HANDSHAKE, 3, 1, 0xff, 0xff][..], &[1; 64]].concat(),
        ),
        (
            "a version of no TLS",
            [&[HANDSHAKE, 2, 0, 0, 4][..], &[1, 0, 0, 0]].concat(),
        ),
        // CLIENT-HELLO of SSL 2.0, as OpenSSL 0.9 sends it to offer TLS 1.0 too.
        (
            "a hello of SSL 2.0",
            [&[0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10][..], &[0; 37]].concat(),
        ),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (
            "another method",
            b"POST /swordfish/lock/audit HTTP/1.1\r\n\r\n".to_vec(),
        ),
        ("a line of text", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xff; 64]),
    ]
}

/// A hello, whole or in pieces, with something before, in or behind it.
fn with_hello(hello: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let message = &hello[5..];
    let ccs = |payload: &[u8]| record(CHANGE_CIPHER_SPEC, payload);
    let (first, second) = message.split_at(message.len() / 2);
    let [first, second] = [first, second].map(|part| record(HANDSHAKE, part));
    let between = |what: Vec<u8>| [first.clone(), what, second.clone()].concat();
    vec![
        ("a hello", hello.to_vec()),
        ("a hello of one-byte records", fragments(message, 1)),
        ("a hello of two-byte records", fragments(message, 2)),
        ("a hello of records of 100", fragments(message, 100)),
        (
            "the longest record",
            record(
                HANDSHAKE,
                &[message, &[0; 0x4000][message.len()..]].concat(),
            ),
        ),
        ("an alert in between", between(record(ALERT, &[2, 40]))),
        ("a warning in between", between(record(ALERT, &[1, 0]))),
        ("change cipher spec in between", between(ccs(&[1]))),
        (
            "an empty record in between",
            between(record(HANDSHAKE, &[])),
        ),
        (
            "data in between",
            between(record(APPLICATION_DATA, b"hello")),
        ),
        (
            "change cipher spec before",
            [ccs(&[1]), hello.to_vec()].concat(),
        ),
        ("two behind", [hello.to_vec(), ccs(&[1, 1])].concat()),
        (
            "an alert behind",
            [hello.to_vec(), record(ALERT, &[2, 40])].concat(),
        ),
        ("a second hello behind", [hello, hello].concat()),
        (
            "a second hello in one record",
            record(HANDSHAKE, &[message, message].concat()),
        ),
        (
            "data behind",
            [hello.to_vec(), record(APPLICATION_DATA, b"hello")].concat(),
        ),
        ("HTTP behind", [hello, b"GET / HTTP/1.1\r\n\r\n"].concat()),
    ]
}

#[test]
fn every_opening_is_answered_as_by_the_library_alone() {
    let daemon = Daemon::start(&Installation::new(standard()));
    let hello = client_hello();
    for (name, opening) in without_hello().into_iter().chain(with_hello(&hello)) {
        let expected = said_by_bare_server(&opening);
        for pieces in [opening.len(), 7, 1] {
            let said = said_by_daemon(&daemon, &opening, pieces);
            assert_eq!(
                last_record(&said),
                last_record(&expected),
                "{name}, {pieces}"
            );
            if expected.first() == Some(&ALERT) {
                assert_eq!(said, expected, "{name}, {pieces}");
            }
        }
    }
}
