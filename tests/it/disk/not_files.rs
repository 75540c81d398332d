//! Pipes, links, folders and sockets where the store keeps files: nothing waits for them, nothing
//! they lead to is written.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{AUDIT, DEVICE, OTHER, assert_unavailable, await_readiness, post};
use crate::harness::{Daemon, Host, Installation, get};

/// Longer than anything but a wait without end.
const SOON: Duration = Duration::from_secs(20);

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// With a webhook, to which nobody listens.
fn installation() -> Installation {
    let installation = Host::installation("");
    installation.write("pki/webhook.secret", "a secret of more than sixteen bytes");
    installation.set(
        "[webhook]",
        "url = \"http://127.0.0.1:9/\"\nsecret_file = \"pki/webhook.secret\"",
    );
    fs_err::create_dir_all(installation.path("Engage_Data").join(DEVICE)).unwrap();
    installation
}

/// Everybody is served, the device whose folder it is too, and the daemon ends when it is told to.
fn assert_nobody_waits(installation: Installation, what: &str) {
    let started = Instant::now();
    let daemon = Daemon::start(&installation);
    let host = Host {
        installation,
        daemon,
    };
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200, "{what}");
    assert_eq!(post(&host, OTHER, 1).status(), 201, "{what}");
    for (method, target, expected) in [
        ("PUT", "/swordfish/lock/Config", 200),
        ("GET", "/swordfish/lock/db/0", 200),
        ("POST", AUDIT, 201),
        ("POST", "/swordfish/lock/alert", 201),
    ] {
        let body = if method == "POST" {
            r#"{"event":"0B040001"}"#
        } else {
            "{}"
        };
        let answer = host.call(method, &format!("{target}?sn={DEVICE}"), body);
        assert_eq!(answer.status(), expected, "{what}: {target}");
    }
    assert_eq!(post(&host, OTHER, 2).status(), 202, "{what}");
    let (installation, log) = host.stop();
    assert!(
        started.elapsed() < SOON,
        "{what}: {:?}: {log}",
        started.elapsed()
    );
    assert_eq!(installation.audits(OTHER).len(), 2, "{what}");
    assert_eq!(installation.audits(DEVICE).len(), 1, "{what}");
}

#[test]
fn a_pipe_beside_the_database_keeps_nobody_waiting() {
    let month = |kind| format!("{kind}-{}.jsonl", Timestamp::now().strftime("%Y-%m"));
    let mut names: Vec<_> = ["device.json", "config.json", "db.json"]
        .map(str::to_owned)
        .into();
    names.extend(["audits", "alerts"].map(month));
    let mut names: Vec<_> = names
        .iter()
        .map(|name| format!("{DEVICE}/{name}"))
        .collect();
    names.extend([".lock", "quarantine", DEVICE].map(str::to_owned));
    for name in names {
        let installation = installation();
        let path = installation.path("Engage_Data").join(&name);
        if name == DEVICE {
            fs_err::remove_dir(&path).unwrap();
        }
        make_pipe(&path);
        assert_nobody_waits(installation, &name);
    }
}

#[test]
fn what_is_no_file_is_not_used_as_database() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 5] = [
        ("folder", |path| fs_err::create_dir(path).unwrap()),
        ("link to a device", |path| {
            symlink("/dev/null", path).unwrap();
        }),
        ("link to a file", |path| {
            symlink("../elsewhere", path).unwrap();
        }),
        ("pipe", make_pipe),
        ("socket", |path| drop(UnixListener::bind(path).unwrap())),
    ];
    // At once: each waits until the database is tried again.
    thread::scope(|scope| {
        for (what, plant) in plants {
            scope.spawn(move || assert_not_used("engage-host.db", what, plant));
        }
        for name in ["engage-host.db-wal", "engage-host.db-shm"] {
            scope.spawn(move || assert_not_used(name, "pipe", make_pipe));
        }
    });
}

fn assert_not_used(name: &str, what: &str, plant: fn(&Path)) {
    let installation = installation();
    installation.write("elsewhere", "");
    let path = installation.path("Engage_Data").join(name);
    plant(&path);
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_unavailable(&post(&host, DEVICE, 1));
    let line = host.daemon.wait_for("until the store can be opened");
    let told = format!("{name}` is not a regular file");
    assert!(line.contains(&told), "{what}: {line}");
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200, "{what}");
    let elsewhere = host.installation.path("elsewhere");
    assert_eq!(fs_err::read(elsewhere).unwrap(), b"", "{what}");
    if path.is_dir() {
        fs_err::remove_dir(&path).unwrap();
    } else {
        fs_err::remove_file(&path).unwrap();
    }
    await_readiness(&mut host);
    assert_eq!(post(&host, DEVICE, 1).status(), 201, "{what}");
}
