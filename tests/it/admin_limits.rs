//! What many or slow clients of the admin listener can do to it, and to devices.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::harness::{
    Daemon, Installation, connect, get, standard, tls_get, trusting, with_descriptors,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// The limit, with descriptors enough.
const MAX_CONNECTIONS: usize = 16;

#[test]
fn a_hundred_connections_take_no_descriptor_that_devices_need() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::run(&mut with_descriptors(&installation, 76));
    let admin = daemon.admin();
    let held: Vec<_> = (0..100).map(|_| connect(admin)).collect();
    daemon.wait_for("admin connection closed for a newer one: 4 are open, which is the limit");
    // As many devices as the limit of descriptors leaves room for, and more of them one by one.
    let devices: Vec<_> = (0..20).map(|_| connect(daemon.http)).collect();
    let config = trusting(&standard().root.der);
    for _ in 0..20 {
        assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
        assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    }
    let failed: Vec<_> = daemon.seen("cannot accept connections").collect();
    assert!(failed.is_empty(), "{failed:?}");
    drop((held, devices));
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(!log.contains("cannot accept connections"), "{log}");
}

#[test]
fn clients_that_hold_connections_keep_nobody_out_and_are_given_up() {
    let mut daemon = Daemon::start(&Installation::new(standard()).with_admin());
    let admin = daemon.admin();
    let before = sockets(&daemon);
    let started = Instant::now();
    let held: Vec<_> = (0..150)
        .map(|number| match number % 3 {
            0 => connect(admin),
            1 => ask(admin, 1),
            _ => ask(admin, 2000),
        })
        .collect();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(is_answered(admin, path), "{path}");
    }
    assert!(
        started.elapsed() < TIMEOUT,
        "answered only when the others were given up"
    );
    daemon.wait_for("admin connection closed for a newer one: 16 are open, which is the limit");
    assert!(sockets(&daemon) <= before + MAX_CONNECTIONS + 1);
    // Without another newcomer, and although nobody closes.
    while sockets(&daemon) > before {
        assert!(started.elapsed() < DEADLINE, "places are not given back");
        std::thread::yield_now();
    }
    drop(held);
}

fn sockets(daemon: &Daemon) -> usize {
    let folder = format!("/proc/{}/fd", daemon.id());
    let descriptors = fs_err::read_dir(folder).unwrap().flatten();
    // One may be closed meanwhile.
    let targets = descriptors.filter_map(|it| fs_err::read_link(it.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn is_answered(address: SocketAddr, path: &str) -> bool {
    let (mut stream, mut answer) = (connect(address), Vec::new());
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let _ = stream.write_all(request.as_bytes());
    // A connection that is refused is closed, or reset, at any time.
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/1.0 200 ")
}

/// Asks so often, and never reads.
fn ask(address: SocketAddr, times: usize) -> TcpStream {
    let mut stream = connect_with_small_buffer(address);
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _ = stream.write_all(request.repeat(times).as_bytes());
    stream
}

fn connect_with_small_buffer(address: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    stream
}

/// How long the daemon waits for a client.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Much longer than that.
const DEADLINE: Duration = Duration::from_mins(1);
