//! Reloads while a building calls: no request may fail.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{ANNOUNCEMENT, RELOADED, rename_over};
use crate::harness::{Chain, Daemon, Installation, Key, Request, SERVER, standard, trusting};

const RELOADS: usize = 40;

#[test]
fn four_thousand_connections_over_forty_reloads_are_all_answered() {
    reload_under(4000);
}

/// `cargo test --release --test it -- --ignored --nocapture million`; the environment variable
/// `ENGAGE_HOST_CONNECTIONS` sets another number.
#[test]
#[ignore = "a measurement: takes many minutes"]
fn a_million_connections_over_forty_reloads_are_all_answered() {
    let connections = std::env::var("ENGAGE_HOST_CONNECTIONS");
    reload_under(connections.map_or(1_000_000, |count| count.parse().unwrap()));
}

/// Half of the connections over TLS. The server's key changes at each reload; the anchor that
/// devices have installed verifies both.
fn reload_under(connections: usize) {
    let installation = Installation::new(standard());
    installation.set("[log]", "level = \"info,access=warn\"");
    let mut daemon = Daemon::start(&installation);
    let renewed = Chain {
        server: Request::new("server.example.com", Key::Foreign, SERVER)
            .issued_by(&standard().intermediate),
        ..standard().clone()
    };
    let load = Arc::new(Load::new(&daemon, connections));
    let started = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let load = Arc::clone(&load);
            thread::spawn(move || load.work())
        })
        .collect();
    for reload in 0..RELOADS {
        load.wait_for(connections * (reload + 1) / (RELOADS + 1));
        rename_over(&installation, [&renewed, standard()][reload % 2]);
        let before = daemon.seen(RELOADED).count();
        daemon.hang_up();
        daemon.wait_for_count(RELOADED, before + 1);
    }
    for worker in workers {
        worker.join().unwrap();
    }
    let failures = load.failures.lock().unwrap();
    let leaves = load.leaves.lock().unwrap();
    println!(
        "{connections} connections, {} failed, {} reloads, {} server certificates, {:?}",
        failures.len(),
        daemon.seen(RELOADED).count(),
        leaves.len(),
        started.elapsed()
    );
    assert_eq!(*failures, [""; 0]);
    assert_eq!(leaves.len(), 2);
}

/// Connections to be made, and what became of them.
struct Load {
    http: std::net::SocketAddr,
    https: std::net::SocketAddr,
    config: Arc<ClientConfig>,
    wanted: usize,
    begun: AtomicUsize,
    reached: Mutex<usize>,
    moved_on: Condvar,
    failures: Mutex<Vec<String>>,
    /// The server certificates seen.
    leaves: Mutex<BTreeSet<Vec<u8>>>,
}

impl Load {
    fn new(daemon: &Daemon, wanted: usize) -> Self {
        Self {
            http: daemon.http,
            https: daemon.https,
            config: trusting(&standard().root.der),
            wanted,
            begun: AtomicUsize::new(0),
            reached: Mutex::default(),
            moved_on: Condvar::new(),
            failures: Mutex::default(),
            leaves: Mutex::default(),
        }
    }

    fn work(&self) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.wanted {
                return;
            }
            if number.is_multiple_of(16) {
                *self.reached.lock().unwrap() = number;
                self.moved_on.notify_one();
            }
            let answered = if number.is_multiple_of(2) {
                self.ask_plain()
            } else {
                self.ask_tls()
            };
            match answered {
                Ok(answer) if answer.starts_with(b"HTTP/1.1 200 OK\r\n") => {}
                Ok(answer) => self.fail(number, &String::from_utf8_lossy(&answer)),
                Err(error) => self.fail(number, &error.to_string()),
            }
        }
    }

    fn fail(&self, number: usize, reason: &str) {
        self.failures
            .lock()
            .unwrap()
            .push(format!("{number}: {reason}"));
    }

    fn ask_plain(&self) -> io::Result<Vec<u8>> {
        ask(connect(self.http)?)
    }

    fn ask_tls(&self) -> io::Result<Vec<u8>> {
        let name = ServerName::from(self.https.ip());
        let session = ClientConnection::new(Arc::clone(&self.config), name);
        let session = session.map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, connect(self.https)?);
        stream.flush()?;
        let leaf = stream.conn.peer_certificates().map(|sent| sent[0].to_vec());
        self.leaves.lock().unwrap().extend(leaf);
        ask(stream)
    }

    /// Waits until so many connections have begun.
    fn wait_for(&self, connections: usize) {
        let mut count = self.reached.lock().unwrap();
        while *count < connections {
            count = self.moved_on.wait(count).unwrap();
        }
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
    write!(
        stream,
        "GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn connect(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

const WORKERS: usize = 8;

/// Of one device: longer means failed.
const PATIENCE: Duration = Duration::from_secs(10);
