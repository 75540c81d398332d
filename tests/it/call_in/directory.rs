//! The directory of devices: owned by one process, and what happens where it cannot be used.

use std::thread;
use std::time::{Duration, Instant};

use super::{AUDIT, CONFIG, DEVICE, NO_DATABASE, of_device};
use crate::harness::{Daemon, Host, get, months};

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
    assert!(
        host.installation
            .path("ledger/of/devices")
            .join(DEVICE)
            .is_dir()
    );
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

/// A start reads the ends of files a piece at a time, however large what stands there is.
#[cfg(target_os = "linux")]
#[test]
fn a_large_damaged_file_costs_a_start_no_memory_and_hides_no_certificate() {
    const DAMAGED_MIB: u64 = 256;
    let host = Host::start("");
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 201);
    let Host {
        installation,
        daemon,
    } = host;
    drop(daemon);
    let folder = installation.path("Engage_Data").join(DEVICE);
    let file = months(&folder, "audits-").remove(0);
    let whole = fs_err::metadata(&file).unwrap().len();
    let damaged = fs_err::OpenOptions::new().write(true).open(&file).unwrap();
    let length = whole + DAMAGED_MIB * 1024 * 1024;
    damaged.set_len(length).unwrap();
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    host.daemon.wait_for("its call-ins are answered 503");
    assert_eq!(fs_err::metadata(&file).unwrap().len(), length);
    let peak_kib = peak_kib(&host);
    assert!(peak_kib < DAMAGED_MIB * 1024 / 2, "{peak_kib} KiB");
}

/// All that the daemon had in memory at once, at most.
#[cfg(target_os = "linux")]
fn peak_kib(host: &Host) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", host.daemon.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse().unwrap()
}

/// Years of many devices: what is whole is not read at all, or only its end.
#[cfg(target_os = "linux")]
#[test]
fn a_large_directory_costs_a_start_no_memory_and_hides_no_certificate() {
    const DEVICES: u64 = 20;
    const EACH_MIB: usize = 10;
    let installation = Host::installation("");
    let line = |number: usize| {
        format!(
            r#"{{"received_at":"2026-01-23T02:13:05Z","event":"{number:08X}","x":"{:400}","batch":"{number:032x}","line":1,"of":1}}"#,
            ""
        ) + "\n"
    };
    let lines = EACH_MIB * 1024 * 1024 / line(0).len();
    let text: String = (0..lines).map(line).collect();
    for device in 0..DEVICES {
        let name = format!("Engage_Data/{device:016X}/audits-2026-01.jsonl");
        installation.write(&name, &text);
    }
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    for device in 0..DEVICES {
        let target = format!("{AUDIT}?sn={device:016X}");
        assert_eq!(host.call("POST", &target, BATCH).status(), 202);
    }
    assert_eq!(host.readiness().body, b"ready\n");
    let peak_kib = peak_kib(&host);
    assert!(peak_kib < 100 * 1024, "{peak_kib} KiB");
}

/// Neither stops the start, nor other devices; the host stays ready and says whose trouble it is.
#[test]
fn one_devices_files_that_cannot_be_read_stop_neither_the_start_nor_other_devices() {
    let installation = Host::installation("directory = \"Engage_Data\"");
    let folder = installation.path("Engage_Data").join(DEVICE);
    fs_err::create_dir_all(folder.join("audits-2026-11.jsonl")).unwrap();
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host.daemon.wait_for("cannot be read");
    assert!(line.contains("WARN") && line.contains(DEVICE), "{line}");
    assert!(
        line.contains("audits-2026-11.jsonl` is not a regular file"),
        "{line}"
    );
    assert!(
        line.contains("hint: what stands there is not of the store"),
        "{line}"
    );
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 503);
    let other = format!("{AUDIT}?sn=00000000000000FF");
    assert_eq!(host.call("POST", &other, BATCH).status(), 201);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 200);
    let said = String::from_utf8(readiness.body).unwrap();
    assert!(
        said.contains(&format!("warning: records of device {DEVICE}: ")),
        "{said}"
    );
    // Once, also when the device calls: the store had its say when it looked at the folder.
    host.daemon.wait_for("nothing of device");
    let told = host.daemon.seen("cannot be read or written").count();
    assert_eq!(told, 1);
    // Put right, it is stored without a restart.
    fs_err::remove_dir(folder.join("audits-2026-11.jsonl")).unwrap();
    assert_eq!(host.call("POST", &of_device(AUDIT), BATCH).status(), 201);
    assert_eq!(host.readiness().body, b"ready\n");
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
