//! A building after a power cut: everybody at once, on fresh connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::harness::{Daemon, Installation, Response, affordable, get, standard, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";

/// Fresh connections on each listener.
const CLIENTS: usize = 1000;

#[test]
fn a_thousand_fresh_connections_on_both_ports_are_all_answered_right() {
    let daemon = Daemon::start(&Installation::new(standard()));
    let announcement = Arc::new(get(daemon.http, ANNOUNCEMENT).body);
    let connector = TlsConnector::from(trusting(&standard().root.der));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut left = CLIENTS;
        while left > 0 {
            let wave = left.min(affordable(CLIENTS));
            // All are connected before the first one speaks.
            let plain = connected(daemon.http, wave).await;
            let tls = connected(daemon.https, wave).await;
            let mut clients = JoinSet::new();
            for stream in plain {
                clients.spawn(assert_answered(stream, Arc::clone(&announcement)));
            }
            for stream in tls {
                let connector = connector.clone();
                let name = ServerName::from(daemon.https.ip());
                let announcement = Arc::clone(&announcement);
                clients.spawn(async move {
                    let stream = connector.connect(name, stream).await.unwrap();
                    assert_answered(stream, announcement).await;
                });
            }
            let all = timeout(DEADLINE, clients.join_all()).await;
            assert_eq!(all.expect("all are answered in time").len(), 2 * wave);
            left -= wave;
        }
    });
}

async fn connected(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await;
        streams.push(stream.unwrap().unwrap());
    }
    streams
}

/// Asks for the announcement, then on the same connection for the certificate.
async fn assert_answered(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    announcement: Arc<Vec<u8>>,
) {
    let requests = format!(
        "GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n\
         GET {CERTIFICATE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).await.unwrap();
    let first = Response::parse(&answered);
    assert_eq!(first.status(), 200);
    let (body, second) = first.body.split_at(announcement.len());
    assert_eq!(body, *announcement);
    let second = Response::parse(second);
    assert_eq!(second.status(), 200);
    assert_eq!(second.body, standard().root.der);
}

const DEADLINE: Duration = Duration::from_mins(1);
