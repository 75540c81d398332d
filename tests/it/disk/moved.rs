//! The directory of devices is moved, removed or replaced under the daemon: never do two daemons
//! acknowledge into one directory, and nothing that was acknowledged is lost.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{DEVICE, OTHER, assert_unavailable, post};
use crate::harness::{Daemon, Host, Installation, audit_texts, get};

/// Another daemon of another configuration, on the same directory.
fn second(host: &Host) -> Host {
    let installation = other_installation(host);
    Host {
        daemon: Daemon::start(&installation),
        installation,
    }
}

fn other_installation(host: &Host) -> Installation {
    Host::installation(&format!("directory = \"{}\"", host.path("").display()))
}

fn ready(host: &mut Host) -> (u16, String) {
    let readiness = host.readiness();
    let said = String::from_utf8(readiness.body.clone()).unwrap();
    (readiness.status(), said)
}

/// What the daemon finds out by itself.
fn await_status(host: &mut Host, status: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (found, said) = ready(host);
        if found == status {
            return said;
        }
        assert!(Instant::now() < deadline, "{said}");
        thread::yield_now();
    }
}

fn rename(from: &Path, to: &Path) {
    fs_err::rename(from, to).unwrap();
}

#[test]
fn while_the_directory_is_away_nothing_is_acknowledged_and_when_it_is_back_all_is_there() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let root = host.installation.path("Engage_Data");
    let away = host.installation.path("away");
    rename(&root, &away);
    assert_unavailable(&post(&host, DEVICE, 2));
    assert_unavailable(&post(&host, OTHER, 3));
    assert_unavailable(&host.call("PUT", "/swordfish/lock/Config?sn=00000000000000FF", "{}"));
    assert_unavailable(&host.call("POST", super::AUDIT, "not understood"));
    assert!(!root.exists(), "it must be possible to move it back");
    let said = await_status(&mut host, 503);
    assert!(said.contains("was moved or removed"), "{said}");
    let line = host.daemon.wait_for("nothing of device");
    assert!(line.contains("hint: move it back"), "{line}");
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);

    rename(&away, &root);
    await_status(&mut host, 200);
    assert_eq!(post(&host, DEVICE, 1).status(), 202);
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000002"]);
}

#[test]
fn a_second_daemon_and_the_first_never_both_store_in_one_directory() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let root = host.installation.path("Engage_Data");
    let away = host.installation.path("away");
    rename(&root, &away);
    // It makes the directory anew, and has it.
    let mut second = second(&host);
    assert_eq!(post(&second, DEVICE, 2).status(), 201);
    assert_unavailable(&post(&host, DEVICE, 3));
    let said = await_status(&mut host, 503);
    let holder = format!("in use by process {}", second.daemon.id());
    assert!(said.contains(&holder), "{said}");
    assert_eq!(ready(&mut second).0, 200);

    // The first one's comes back in its place: now that one has it, and the second waits.
    let new = host.installation.path("new");
    rename(&root, &new);
    rename(&away, &root);
    await_status(&mut host, 200);
    assert_unavailable(&post(&second, DEVICE, 4));
    let said = await_status(&mut second, 503);
    let holder = format!("in use by process {}", host.daemon.id());
    assert!(said.contains(&holder), "{said}");
    assert_eq!(post(&host, DEVICE, 3).status(), 202);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000003"]);
    let there = audit_texts(&new.join("engage-host.db"), DEVICE);
    assert!(
        there.len() == 1 && there[0].contains("00000002"),
        "{there:?}"
    );
    // Nor does a third one start there.
    let refused = other_installation(&host).serve_refused();
    assert!(refused.errors().contains(&holder), "{}", refused.errors());

    // When the first has ended, the second takes over by itself, and knows what is stored there.
    host.daemon.terminate();
    let Host {
        installation: _installation,
        daemon,
    } = host;
    assert_eq!(daemon.finish().0, Some(0));
    await_status(&mut second, 200);
    second.daemon.wait_for("was removed or replaced");
    assert_eq!(post(&second, DEVICE, 3).status(), 202);
    assert_eq!(post(&second, DEVICE, 4).status(), 202);
    let all = ["00000001", "00000003", "00000004"];
    assert_eq!(second.codes(DEVICE), all);
}

#[test]
fn a_directory_that_was_removed_is_begun_anew_when_somebody_makes_it() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let root = host.installation.path("Engage_Data");
    fs_err::remove_dir_all(&root).unwrap();
    assert_unavailable(&post(&host, DEVICE, 2));
    await_status(&mut host, 503);
    fs_err::create_dir(&root).unwrap();
    await_status(&mut host, 200);
    assert_eq!(post(&host, DEVICE, 2).status(), 201);
    assert_eq!(host.codes(DEVICE), ["00000002"]);
    let refused = other_installation(&host).serve_refused();
    assert!(
        refused.errors().contains("is in use"),
        "{}",
        refused.errors()
    );
    // What is no directory is not one, and keeps nobody waiting.
    let away = host.installation.path("away");
    rename(&root, &away);
    let made = std::process::Command::new("mkfifo").arg(&root).status();
    assert!(made.unwrap().success());
    assert_unavailable(&post(&host, DEVICE, 3));
    fs_err::remove_file(&root).unwrap();
    rename(&away, &root);
    await_status(&mut host, 200);
    assert_eq!(post(&host, DEVICE, 3).status(), 202);
}
