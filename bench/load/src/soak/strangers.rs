//! Clients that mean harm, of many kinds.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use engage_device::connect_from;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::host::SoakedHost;
use crate::device::{address, soon};

/// What a client does. Each is one that docs/THREATS.md has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Silent,
    SlowHead,
    SlowBody,
    SlowReader,
    Handshakes,
    Connections,
    Requests,
    Inventions,
    Unreadable,
    Amplified,
}

/// So many clients of a kind, which end when it is dropped.
pub(super) struct Strangers {
    _end: oneshot::Sender<()>,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Silent,
        Self::Handshakes,
        Self::SlowHead,
        Self::Inventions,
        Self::SlowBody,
        Self::Unreadable,
        Self::SlowReader,
        Self::Connections,
        Self::Amplified,
        Self::Requests,
    ];

    /// Two of them by turns, and all pairs of neighbours; nobody in the first minute.
    pub(super) fn of_minute(number: u32) -> Vec<Self> {
        let at = number as usize;
        match at {
            0 => Vec::new(),
            _ => vec![
                Self::ALL[at % Self::ALL.len()],
                Self::ALL[(at + 1) % Self::ALL.len()],
            ],
        }
    }

    fn clients(self) -> usize {
        match self {
            Self::Silent | Self::SlowHead | Self::SlowBody | Self::SlowReader => 2000,
            Self::Handshakes | Self::Connections => 200,
            Self::Requests | Self::Inventions | Self::Unreadable => 40,
            Self::Amplified => 4,
        }
    }

    /// One connection, to its end.
    async fn meet(self, mut stream: TcpStream) {
        match self {
            Self::Connections => {}
            Self::Silent => wait(stream).await,
            Self::SlowHead => drip(stream, b"GET / HTTP/1.1\r\nX: y", b"\r\nX: y").await,
            Self::SlowBody => drip(stream, &post("", 100_000, b""), b" ").await,
            Self::SlowReader => {
                let file =
                    "GET /static/Device_Certificates/partner_CA.der HTTP/1.1\r\nHost: a\r\n\r\n";
                if stream.write_all(file.repeat(64).as_bytes()).await.is_ok() {
                    sleep(Duration::from_mins(1)).await;
                }
            }
            Self::Handshakes => {
                if stream.write_all(&client_hello()).await.is_ok() {
                    let _ = stream.read(&mut [0; 4096]).await;
                }
            }
            Self::Requests => {
                ask(stream, || {
                    b"GET /swordfish/lock/certificates/current HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()
                })
                .await;
            }
            Self::Inventions => {
                let body = br#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#;
                ask(stream, || post(&invented(), body.len(), body)).await;
            }
            Self::Unreadable => {
                let body = vec![b'x'; 64 * 1024];
                ask(stream, || post(&invented(), body.len(), &body)).await;
            }
            Self::Amplified => {
                let zeros = "0,".repeat(524_000);
                let body = format!(r#"{{"asyncEvents":[{zeros}0]}}"#);
                ask(stream, || post(&invented(), body.len(), body.as_bytes())).await;
            }
        }
    }

    /// Those that speak TLS go where it is spoken, and half of those that say nothing.
    fn target(self, host: &SoakedHost, number: usize) -> SocketAddr {
        let is_secure = match self {
            Self::Handshakes => true,
            Self::Silent | Self::Connections => number.is_multiple_of(2),
            _ => false,
        };
        if is_secure {
            host.server.https
        } else {
            host.server.http
        }
    }
}

impl Strangers {
    pub(super) fn begin(kind: Kind, host: &SoakedHost) -> Self {
        let clients = (0..kind.clients()).map(|number| {
            let target = kind.target(host, number);
            // Over a balancer and a few from each address, so that they are networks of their own.
            let source = address(BALANCERS + number);
            let [a, b] = u16::try_from(number / 20).unwrap_or(0).to_be_bytes();
            let header = format!("PROXY TCP4 10.66.{a}.{b} 10.0.0.1 1 80\r\n");
            async move {
                loop {
                    if let Ok(mut stream) = connect_from(source, target, soon()).await
                        && stream.write_all(header.as_bytes()).await.is_ok()
                    {
                        kind.meet(stream).await;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
        });
        let clients: Vec<_> = clients.collect();
        let (end, ended) = oneshot::channel();
        thread::spawn(move || run(clients, ended));
        Self { _end: end }
    }
}

/// Runs clients until they are to end, on a thread that waits for all others of the process: in the
/// field, strangers do not use the processors of honest devices.
fn run(clients: Vec<impl Future<Output = ()> + Send + 'static>, ended: oneshot::Receiver<()>) {
    // Where it is refused, the times of honest devices say less.
    let _ = rustix::process::nice(LOWEST_PRIORITY);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(async {
        let _clients: JoinSet<_> = clients.into_iter().collect();
        // The sender is only ever dropped.
        let _ = ended.await;
    });
}

async fn wait(mut stream: TcpStream) {
    while stream.read(&mut [0; 256]).await.is_ok_and(|read| read > 0) {}
}

/// Sends `piece` once a second.
async fn drip(mut stream: TcpStream, begin: &[u8], piece: &[u8]) {
    let mut next = stream.write_all(begin).await;
    while next.is_ok() {
        sleep(Duration::from_secs(1)).await;
        next = stream.write_all(piece).await;
    }
}

/// One request after the other.
async fn ask(mut stream: TcpStream, request: impl Fn() -> Vec<u8>) {
    let mut answer = [0; 4096];
    while stream.write_all(&request()).await.is_ok() {
        let read = timeout(Duration::from_secs(30), stream.read(&mut answer)).await;
        if !read.is_ok_and(|read| read.is_ok_and(|read| read > 0)) {
            return;
        }
    }
}

fn post(serial: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /swordfish/lock/audit?sn={serial} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A serial number that nobody had before.
fn invented() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{INVENTED}{:08X}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A hello of TLS 1.2 that offers what the server has.
fn client_hello() -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        // ECDHE with RSA and AES-128-GCM.
        &[0, 2, 0xC0, 0x2F],
        &[1, 0],
        // X25519; PSS and PKCS#1 with SHA-256; uncompressed points; the extended master secret.
        &[0, 28],
        &[0, 10, 0, 4, 0, 2, 0, 29],
        &[0, 13, 0, 6, 0, 4, 8, 4, 4, 1],
        &[0, 11, 0, 2, 1, 0],
        &[0, 23, 0, 0],
    ]
    .concat();
    let length = body.len();
    let message = [&[1, 0, 0, u8::try_from(length).unwrap_or(0)][..], &body].concat();
    let length = u8::try_from(message.len()).unwrap_or(0);
    [&[22, 3, 1, 0, length][..], &message].concat()
}

const BALANCERS: usize = 500_000;

const LOWEST_PRIORITY: i32 = 19;

/// Whose header is believed.
pub(super) const BALANCER_NETWORK: &str = "127.8.0.0/16";

/// How the serial numbers begin that nobody has.
pub(super) const INVENTED: &str = "BADBADBA";
