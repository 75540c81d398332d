//! The directory of devices: owned by one process, and what happens where it cannot be used.

use std::thread;
use std::time::{Duration, Instant};

use super::{AUDIT, CONFIG, DEVICE, NO_DATABASE, of_device};
use crate::harness::{Daemon, Host, get};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const BATCH: &str = r#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}]}"#;

#[test]
fn a_default_directory_that_cannot_be_made_leaves_certificates_served() {
    let installation = Host::installation("");
    installation.write("Engage_Data", "a file");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host
        .daemon
        .wait_for("call-ins are answered 503 until the store can be opened");
    assert!(
        line.contains("ERROR") && line.contains("Engage_Data"),
        "{line}"
    );
    for (method, target, body) in [
        ("POST", AUDIT, BATCH),
        ("PUT", CONFIG, "{}"),
        ("GET", NO_DATABASE, ""),
        ("POST", AUDIT, "not JSON"),
    ] {
        let answer = host.call(method, &of_device(target), body);
        assert_eq!(answer.status(), 503, "{method} {target}");
        assert_eq!(answer.body, br#"{"error":"storage unavailable"}"#);
    }
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    assert_eq!(host.readiness().status(), 503);
}

#[test]
fn a_configured_directory_that_cannot_be_made_is_tried_again_while_certificates_are_served() {
    let installation = Host::installation("directory = \"ledger/of/devices\"");
    installation.write("ledger", "a file");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host
        .daemon
        .wait_for("until the store can be opened: failed to open device directory");
    assert!(
        line.contains("ledger/of/devices") && line.contains("hint: "),
        "{line}"
    );
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 503);
    let reason = String::from_utf8(host.readiness().body).unwrap();
    assert!(
        reason.starts_with("not ready: call-ins cannot be stored: "),
        "{reason}"
    );
    // Mended, it is used without a restart.
    host.installation.remove("ledger");
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.readiness().status() != 200 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 201);
}

#[test]
fn a_configured_directory_is_made_beside_the_configuration() {
    let host = Host::start("directory = \"ledger/of/devices\"");
    let answer = host.call("POST", &of_device(AUDIT), BATCH);
    assert_eq!(answer.status(), 201);
    let database = host.installation.path("ledger/of/devices/engage-host.db");
    assert!(database.is_file());
    assert_eq!(host.installation.known(), [DEVICE]);
    assert!(!host.installation.path("Engage_Data").exists());
}

#[test]
fn a_second_daemon_on_the_same_directory_does_not_start_and_names_the_first() {
    let host = Host::start("");
    let refused = host.installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    let errors = refused.errors();
    let holder = format!("is in use by process {}", host.daemon.id());
    assert!(errors.contains(&holder), "{errors}");
    assert!(
        errors.contains("hint: stop the other engage-host"),
        "{errors}"
    );
    // The first one is unharmed, and the lock ends with it, however it ends.
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 201);
    let Host {
        installation,
        daemon,
    } = host;
    drop(daemon);
    drop(Daemon::start(&installation));
}

#[test]
fn a_second_daemon_does_not_start_although_the_lock_file_was_removed() {
    let host = Host::start("");
    fs_err::remove_file(host.path(".lock")).unwrap();
    let refused = host.installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors().contains("is in use"),
        "{}",
        refused.errors()
    );
}

#[test]
fn files_are_for_the_owner_and_the_group_only() {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::start("");
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 201);
    assert_eq!(host.call("PUT", &of_device(CONFIG), "{}").status(), 200);
    assert_eq!(host.call("PUT", &of_device(CONFIG), "[]").status(), 400);
    let mut folders = vec![host.path("")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // Replacements come and go.
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                assert_eq!(mode & !0o750, 0, "{path:?}: {mode:o}");
                folders.push(path);
            } else {
                assert_eq!(mode & !0o640, 0, "{path:?}: {mode:o}");
                files += 1;
            }
        }
    }
    assert!(files >= 4, "{files}");
}
