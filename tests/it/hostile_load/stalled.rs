//! Two thousand clients of each kind that stalls.

use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::harness::{Attack, HonestDevice, Host, affordable, request, standard, trusting};

const CLIENTS: usize = 2000;

/// What one of them costs at most, and the allocator keeps of it.
const KIB_EACH: u64 = 36;

/// A device is served beside the attack, and of two attacks no more is left than one takes.
fn assert_nobody_notices(begin: impl Fn(&Host, usize) -> Attack) {
    let clients = affordable(CLIENTS);
    let installation = Host::installation("");
    installation.set("[log]", "level = \"info,access=warn\"");
    let daemon = crate::harness::Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let mut device = HonestDevice::new(&host.daemon);
    device.visits(10).assert_prompt();
    let before = host.daemon.footprint();
    let mut after = Vec::new();
    for _ in 0..2 {
        let attack = begin(&host, clients);
        host.daemon
            .wait_for_metric("open_connections", &[], clients as u64);
        device.visits(25).assert_prompt();
        drop(attack);
        host.daemon.wait_for_open_connections(0);
        after.push(host.daemon.rest(before));
    }
    println!("{before:?}, {after:?}");
    // Not what one attack takes and another once more.
    let grown = after[1].resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < clients as u64 * KIB_EACH, "{before:?}, {after:?}");
    device.assert_all_stored(&host);
}

async fn wait_for_the_end(mut stream: TcpStream) {
    let mut bytes = [0; 256];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Sends `piece` again and again.
async fn drip(mut stream: TcpStream, begin: Vec<u8>, piece: &'static [u8]) {
    let mut next = stream.write_all(&begin).await;
    while next.is_ok() {
        sleep(Duration::from_secs(1)).await;
        next = stream.write_all(piece).await;
    }
}

#[test]
fn silent_sockets() {
    assert_nobody_notices(|host, clients| {
        Attack::begin(clients, 1, host.daemon.http, wait_for_the_end)
    });
}

#[test]
fn silent_handshakes() {
    assert_nobody_notices(|host, clients| {
        Attack::begin(clients, 1, host.daemon.https, wait_for_the_end)
    });
}

#[test]
fn handshakes_that_stop_in_the_middle_of_the_hello() {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello.truncate(hello.len() / 2);
    assert_nobody_notices(|host, clients| {
        let hello = hello.clone();
        Attack::begin(clients, 1, host.daemon.https, move |stream| {
            drip(stream, hello.clone(), b"")
        })
    });
}

#[test]
fn slow_heads() {
    assert_nobody_notices(|host, clients| {
        Attack::begin(clients, 1, host.daemon.http, |stream| {
            drip(stream, b"GET / HTTP/1.1\r\nX: y".to_vec(), b"\r\nX: y")
        })
    });
}

#[test]
fn slow_bodies() {
    assert_nobody_notices(|host, clients| {
        let target = "/swordfish/lock/audit?sn=FEDCBA9876543210";
        let head = request("POST", target, "Content-Length: 100000\r\n", b"");
        Attack::begin(clients, 1, host.daemon.http, move |stream| {
            drip(stream, head.clone(), b" ")
        })
    });
}

/// As many answers as fill the buffers between both, and nobody takes them.
#[test]
fn slow_readers() {
    let file = "GET /static/Device_Certificates/partner_CA.der HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests: &[u8] = file.repeat(64).leak().as_bytes();
    assert_nobody_notices(|host, clients| {
        Attack::begin(clients, 1, host.daemon.http, move |mut stream| async move {
            let socket = rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 2048);
            if socket.is_ok() && stream.write_all(requests).await.is_ok() {
                sleep(Duration::from_mins(1)).await;
            }
        })
    });
}
