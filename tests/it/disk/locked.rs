//! Another program holds the database locked: nothing is acknowledged, and nothing else waits.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{AUDIT, DEVICE, assert_in_order, assert_out_of_order, assert_unavailable, post};
use crate::harness::{Daemon, Host, connect, get, request};

/// A program that has begun to write, and does not end.
struct OtherWriter(Child);

impl OtherWriter {
    fn begin(database: &Path) -> Self {
        const HOLD: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN IMMEDIATE')
print('begun', flush=True)
sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", HOLD])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        Self(child)
    }
}

impl Drop for OtherWriter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_another_program_has_locked_is_unavailable_until_that_has_ended() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let writer = OtherWriter::begin(&host.path("engage-host.db"));
    assert_unavailable(&post(&host, DEVICE, 2));
    assert_out_of_order(&mut host);
    let line = host.daemon.wait_for("nothing of device");
    assert!(line.contains("another program holds it locked"), "{line}");
    assert_eq!(host.codes(DEVICE), ["00000001"], "it can be read");
    drop(writer);
    host.daemon
        .wait_for("the device store can be written again");
    assert_in_order(&mut host);
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000002"]);
}

#[test]
fn a_database_that_hangs_keeps_neither_certificates_nor_a_stop() {
    let installation = Host::installation("");
    installation.set("[limits]", "drain_seconds = 1");
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let _writer = OtherWriter::begin(&host.path("engage-host.db"));
    let mut waiting = connect(host.daemon.http);
    let body = br#"{"event":"0B040001"}"#;
    let call = request("POST", &format!("{AUDIT}?sn={DEVICE}"), "", body);
    waiting.write_all(&call).unwrap();
    for _ in 0..10 {
        let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
        assert_eq!(announcement.status(), 200);
    }
    let asked = Instant::now();
    let (installation, log) = host.stop();
    assert!(asked.elapsed() < SOON, "{:?}: {log}", asked.elapsed());
    assert_eq!(installation.audits(DEVICE).len(), 1);
}

/// Longer than anything but a wait without end.
const SOON: Duration = Duration::from_secs(15);
