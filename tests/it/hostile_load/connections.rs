//! Floods of connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Attack, Daemon, HonestDevice, Host, with_descriptors};

/// Ten addresses with two hundred clients each get what ten may have, and no descriptor too many.
#[test]
fn addresses_that_open_what_they_can_take_no_place_of_others() {
    let installation = Host::installation("");
    installation.set("[limits]", "connections_per_address = 64");
    let mut daemon = Daemon::run(&mut with_descriptors(&installation, 1024));
    daemon.wait_for("at most 896 connections at a time");
    let mut host = Host {
        installation,
        daemon,
    };
    let mut device = HonestDevice::new(&host.daemon);
    let attack = Attack::begin(2000, 200, host.daemon.http, |mut stream| async move {
        let _ = stream.read(&mut [0; 16]).await;
    });
    let labels = [("limit", "connections_per_address")];
    host.daemon.wait_for_metric("refusals_total", &labels, 1360);
    device.visits(25).assert_prompt();
    let open = host.daemon.metrics().sum("open_connections", &[]);
    // And the device's own, which may not be closed yet.
    assert!(open <= 642, "{open}");
    drop(attack);
    host.daemon.wait_for_open_connections(0);
    host.daemon.terminate();
    let (_, log) = host.daemon.finish();
    assert!(!log.contains("cannot accept connections"), "{log}");
}

#[test]
fn connections_that_end_at_once() {
    let host = Host::start("");
    let mut device = HonestDevice::new(&host.daemon);
    let ports = [host.daemon.http, host.daemon.https];
    // They wait for nobody: more of them would only show what this computer can take.
    let floods = ports.map(|port| Attack::begin(20, 1, port, |_| async {}));
    device.visits(50).assert_prompt();
    drop(floods);
    device.assert_all_stored(&host);
}

#[test]
fn requests_without_end() {
    let host = Host::start("");
    let mut device = HonestDevice::new(&host.daemon);
    let request = "GET /swordfish/lock/certificates/current HTTP/1.1\r\nHost: a\r\n\r\n";
    let flood = Attack::begin(64, 64, host.daemon.http, move |mut stream| async move {
        let mut answers = [0; 4096];
        while stream.write_all(request.as_bytes()).await.is_ok()
            && stream.read(&mut answers).await.is_ok_and(|read| read > 0)
        {}
    });
    device.visits(50).assert_prompt();
    drop(flood);
    device.assert_all_stored(&host);
}
