//! What is no handshake is answered with the alert that the TLS library sends by itself.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use engage_wire::crypto_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use crate::harness::{
    Daemon, Installation, close_sending, connect, read_to_end, standard, trusting,
};

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

fn said_by_daemon(daemon: &Daemon, sent: &[u8]) -> Vec<u8> {
    let mut stream: TcpStream = connect(daemon.https);
    stream.write_all(sent).unwrap();
    close_sending(&stream);
    read_to_end(&mut stream)
}

/// Type and length of the last record, which tells an alert from anything else, encrypted or not.
fn last_record(mut bytes: &[u8]) -> Option<(u8, usize)> {
    let mut last = None;
    while let [content_type, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        last = Some((*content_type, length));
        bytes = &rest[length.min(rest.len())..];
    }
    last
}

#[test]
fn every_opening_is_answered_as_by_the_library_alone() {
    let daemon = Daemon::start(&Installation::new(standard()));
    let hello = client_hello();
    let ccs = |payload: &[u8]| record(CHANGE_CIPHER_SPEC, payload);
    let openings: [(&str, Vec<u8>); 14] = [
        ("application data", record(APPLICATION_DATA, b"hello")),
        ("an alert", record(ALERT, &[2, 40])),
        ("a warning", record(ALERT, &[1, 0])),
        ("change cipher spec", ccs(&[1])),
        ("two in one record", ccs(&[1, 1])),
        ("an empty one", ccs(&[])),
        ("a wrong one", ccs(&[2])),
        ("an unknown type", record(99, b"x")),
        ("an empty handshake record", record(HANDSHAKE, &[])),
        ("a server hello", record(HANDSHAKE, &[2, 0, 0, 2, 3, 3])),
        ("a finished", record(HANDSHAKE, &[20, 0, 0, 0])),
        ("a hello cut short", record(HANDSHAKE, &[1, 0, 0, 2, 3, 3])),
        ("two behind a hello", [hello.clone(), ccs(&[1, 1])].concat()),
        (
            "data behind a hello",
            [hello.clone(), record(APPLICATION_DATA, b"hello")].concat(),
        ),
    ];
    for (name, opening) in openings {
        let expected = said_by_bare_server(&opening);
        let said = said_by_daemon(&daemon, &opening);
        assert_eq!(last_record(&said), last_record(&expected), "{name}");
        if expected.first() == Some(&ALERT) {
            assert_eq!(said, expected, "{name}");
        }
    }
}
