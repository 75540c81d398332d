//! A damaged database: refused, never written to, and used again when a backup stands in its place.

use std::path::PathBuf;

use super::{DEVICE, assert_unavailable, await_readiness, post};
use crate::harness::{Daemon, Host, Installation, get};

/// What a daemon has left after some hundred audits, and where.
fn stopped() -> (Installation, PathBuf) {
    let host = Host::start("");
    assert_eq!(post(&host, DEVICE, 0).status(), 201);
    for event in 1..200 {
        assert_eq!(post(&host, DEVICE, event).status(), 202);
    }
    let (installation, _) = host.stop();
    let database = installation.path("Engage_Data/engage-host.db");
    (installation, database)
}

fn is_refused_and_left_alone(damage: impl Fn(&mut Vec<u8>)) {
    let (installation, database) = stopped();
    let good = fs_err::read(&database).unwrap();
    let mut damaged = good.clone();
    damage(&mut damaged);
    fs_err::write(&database, &damaged).unwrap();
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_unavailable(&post(&host, DEVICE, 200));
    let line = host.daemon.wait_for("until the store can be opened");
    assert!(line.contains("restore a backup"), "{line}");
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);
    assert!(
        fs_err::read(&database).unwrap() == damaged,
        "it was written"
    );
    // As STORE.md says.
    fs_err::write(&database, &good).unwrap();
    await_readiness(&mut host);
    assert_eq!(post(&host, DEVICE, 200).status(), 202);
    assert_eq!(host.codes(DEVICE).len(), 201);
}

#[test]
fn a_damaged_header_is_refused_until_a_backup_is_restored() {
    is_refused_and_left_alone(|bytes| bytes[..100].fill(0));
}

#[test]
fn a_damaged_page_in_the_middle_is_refused_until_a_backup_is_restored() {
    is_refused_and_left_alone(|bytes| {
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
    });
}

/// What was acknowledged stands in the log, and in the file only later.
#[test]
fn a_log_that_is_removed_under_the_daemon_takes_no_acknowledgement_with_it() {
    let host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    fs_err::remove_file(host.path("engage-host.db-wal")).unwrap();
    let answer = post(&host, DEVICE, 2);
    // Unless the daemon has looked by itself meanwhile.
    if answer.status() != 202 {
        assert_unavailable(&answer);
        assert_eq!(post(&host, DEVICE, 2).status(), 202);
    }
    let host = host.restart();
    assert_eq!(post(&host, DEVICE, 3).status(), 202);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000002", "00000003"]);
}
