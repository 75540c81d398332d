//! Devices of which nothing is proven make room for new ones, with everything that is theirs.

use std::path::Path;
use std::process::Command;

use crate::harness::{Daemon, Host, run};
use crate::json_files::{files, wait_until_copied};

const STRANGER: &str = "00000000000000AA";
const LOCK: &str = "00000000000000BB";
const NEXT: &str = "00000000000000CC";

#[test]
fn the_stranger_who_was_seen_longest_ago_makes_room_and_a_lock_does_not() {
    let host = Host::start("json_files = false");
    assert_eq!(put_config(&host, LOCK), 200);
    for (device, event) in [(STRANGER, 1), (LOCK, 2)] {
        assert_eq!(deliver(&host, device, event), 201);
    }
    let (installation, _) = host.stop();
    change(&installation.path("Engage_Data/engage-host.db"), FILL_UP);
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    assert_eq!(deliver(&host, NEXT, 3), 201);
    let line = host.daemon.wait_for("makes room for a new one");
    assert!(
        line.contains(STRANGER) && line.contains("with its 1 events"),
        "{line}"
    );
    assert_eq!(host.daemon.metrics().sum("devices_evicted_total", &[]), 1);
    assert_eq!(host.codes(STRANGER), [""; 0]);
    assert_eq!(host.codes(LOCK), ["00000002"]);
    assert_eq!(host.codes(NEXT), ["00000003"]);
    // Now all have called within two nights.
    let refused = host.call("POST", &audit(STRANGER), body(4));
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.body, br#"{"error":"too many new devices"}"#);
    host.daemon
        .wait_for("allowed: 100000 devices of which nothing is proven");
    assert_eq!(put_config(&host, "00000000000000DD"), 200);
    assert_eq!(host.readiness().status(), 200);
}

#[test]
fn the_copies_of_a_device_go_with_it_also_after_a_crash_in_between_and_db_json_stays() {
    let host = Host::start("");
    for (device, event) in [(STRANGER, 1), (LOCK, 2), (NEXT, 3)] {
        assert_eq!(deliver(&host, device, event), 201);
    }
    wait_until_copied(&host.installation);
    let (installation, _) = host.stop();
    let database = installation.path(&format!("Engage_Data/{NEXT}/db.json"));
    fs_err::write(&database, "{}").unwrap();
    change(&installation.path("Engage_Data/engage-host.db"), EVICT);
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let left = wait_until_copied(&host.installation);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(database.exists());
    while host.path(STRANGER).exists() {}
    // Who returns begins anew.
    assert_eq!(deliver(&host, NEXT, 4), 201);
    assert_eq!(wait_until_copied(&host.installation).len(), 4);
    assert_eq!(host.codes(NEXT), ["00000004"]);
    assert!(!host.path("unknown").exists());
    assert_eq!(files(&host.path("unknown")).len(), 0);
}

fn audit(device: &str) -> String {
    format!("/swordfish/lock/audit?sn={device}")
}

fn body(event: u32) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20261123021259"}}]}}"#)
}

fn deliver(host: &Host, device: &str, event: u32) -> u16 {
    host.call("POST", &audit(device), body(event)).status()
}

fn put_config(host: &Host, device: &str) -> u16 {
    let target = format!("/swordfish/lock/Config?sn={device}");
    host.call("PUT", &target, r#"{"lckPrmtrs":{"mdl":"NDE80"}}"#)
        .status()
}

fn change(database: &Path, program: &str) {
    let mut python = Command::new("python3");
    python.args(["-c", program]).arg(database);
    let changed = run(&mut python);
    assert_eq!(changed.code, Some(0), "{}", changed.stderr_text());
}

/// Everybody was seen three days ago, and then as many strangers as there may be just now.
const FILL_UP: &str = "
import sqlite3, sys, time
now = int(time.time()) * 1000000
with sqlite3.connect(sys.argv[1]) as database:
    database.execute('UPDATE devices SET last_seen = ?', (now - 3 * 86400 * 1000000,))
    database.execute('''
        WITH RECURSIVE numbers (number) AS
            (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 99999)
        INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, last_seen)
        SELECT CAST(1000000000000000 + number AS TEXT), 1, 0, 0, ?, ? FROM numbers''', (now, now))";

/// What the daemon does in one transaction.
const EVICT: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for device in ('00000000000000AA', '00000000000000CC'):
        for table in ('devices', 'events'):
            database.execute(f'DELETE FROM {table} WHERE device = ?', (device,))
        database.execute('UPDATE cursors SET seq = 0, revision = -1, note = NULL WHERE device = ?', (device,))";
