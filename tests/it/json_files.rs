//! The files that are written for people to read: what the store has, no gap and no double.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::database::postgres::postgres;
use crate::harness::{Daemon, Host, Installation, connect, program, read_answer, request, run};

/// Their contents by their paths: `0123456789ABCDEF/device.json`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The files of devices that are written below a directory.
pub(crate) fn files(directory: &Path) -> Files {
    let mut files = Files::new();
    for folder in std::fs::read_dir(directory).into_iter().flatten() {
        let folder = folder.unwrap();
        let device = folder.file_name().into_string().unwrap();
        // A file is written while it is read; whoever compares tries again.
        for file in std::fs::read_dir(folder.path()).into_iter().flatten() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let is_line_file = Path::new(&name).extension().is_some_and(|it| it == "jsonl");
            if is_line_file || ["device.json", "config.json"].contains(&&name[..]) {
                let contents = fs_err::read(folder.path().join(&name)).unwrap_or_default();
                files.insert(format!("{device}/{name}"), contents);
            }
        }
    }
    files
}

/// What `devices export` writes.
pub(crate) fn exported(installation: &Installation) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("export");
    let finished = run(program()
        .args(["devices", "export"])
        .arg(&directory)
        .arg("--config")
        .arg(installation.path("config.toml")));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    files(&directory)
}

/// Waits until the directory's files are what the store has, and returns them.
pub(crate) fn wait_until_copied(installation: &Installation) -> Files {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let expected = exported(installation);
        let found = files(&installation.path("Engage_Data"));
        if found == expected {
            return found;
        }
        if Instant::now() > deadline {
            let names = |files: &Files| {
                files
                    .iter()
                    .map(|(name, it)| (name.clone(), it.len()))
                    .collect::<Vec<_>>()
            };
            panic!("found {:?}, expected {:?}", names(&found), names(&expected));
        }
    }
}

fn audit(host: &Host, device: u64, event: u64) {
    let target = format!("/swordfish/lock/audit?sn={}", serial(device));
    let status = host.call("POST", &target, body(event)).status();
    assert!([201, 202].contains(&status), "{status}");
}

fn serial(device: u64) -> String {
    format!("{device:016X}")
}

fn body(event: u64) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20261123021259"}}]}}"#)
}

fn month_file(host: &Host, device: u64) -> PathBuf {
    let folder = host.path(&serial(device));
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    folder.join(names.find(|name| name.starts_with("audits-")).unwrap())
}

#[test]
fn files_have_what_the_store_has_in_the_documented_format() {
    let host = Host::start("");
    for event in 0..40 {
        audit(&host, event % 3, event);
    }
    let alert = r#"{"event":"0B050001","time":"20261123021259"}"#;
    let target = format!("/swordfish/lock/alert?sn={}", serial(1));
    assert_eq!(host.call("POST", &target, alert).status(), 201);
    let upload = br#"{"lckPrmtrs":{"mdl":"NDE80"} , "x":[1]}"#;
    let target = format!("/swordfish/lock/Config?sn={}", serial(1));
    assert_eq!(host.call("PUT", &target, upload).status(), 200);
    let files = wait_until_copied(&host.installation);
    let config = format!("{}/config.json", serial(1));
    assert_eq!(files[&config], upload);
    let device: serde_json::Value =
        serde_json::from_slice(&files[&format!("{}/device.json", serial(1))]).unwrap();
    assert_eq!(device["model"], "NDE80");
    let audits = fs_err::read_to_string(month_file(&host, 1)).unwrap();
    let lines: Vec<&str> = audits.lines().collect();
    assert_eq!(lines.len(), 13);
    let line: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(line["event"], "00000004");
    assert!(lines[0].starts_with(r#"{"received_at":""#), "{}", lines[0]);
    assert!(files.keys().any(|name| name.contains("/alerts-")));
    modes_are_narrow(&host.path(&serial(1)));
}

fn modes_are_narrow(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder) & !0o750, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()) & !0o640, 0);
    }
}

#[test]
fn without_json_files_nothing_but_the_database_is_written() {
    let host = Host::start("json_files = false");
    audit(&host, 1, 1);
    host.daemon.terminate();
    let (code, _) = host.daemon.finish();
    assert_eq!(code, Some(0));
    assert!(files(&host.installation.path("Engage_Data")).is_empty());
}

/// `ENGAGE_HOST_CRASHES=200` makes it long.
#[test]
fn files_have_neither_gap_nor_double_whenever_the_daemon_is_killed() {
    let crashes = std::env::var("ENGAGE_HOST_CRASHES").map_or(12, |text| text.parse().unwrap());
    let installation = Host::installation("");
    let next = AtomicU64::new(0);
    for crash in 0..crashes {
        let daemon = Daemon::start(&installation);
        let (address, is_over) = (daemon.http, AtomicBool::new(false));
        thread::scope(|scope| {
            for device in 0..8 {
                let (next, is_over) = (&next, &is_over);
                scope.spawn(move || deliver(address, device, next, is_over));
            }
            // The moment itself, not a wait for anything: copies begin 300 ms behind the commit.
            thread::sleep(Duration::from_millis(300 + 37 * (crash % 20)));
            drop(daemon);
            is_over.store(true, Ordering::Relaxed);
        });
    }
    let _daemon = Daemon::start(&installation);
    let files = wait_until_copied(&installation);
    let lines = files.iter().filter(|(name, _)| name.contains("/audits-"));
    let lines = lines.flat_map(|(_, text)| text.split_inclusive(|byte| *byte == b'\n'));
    let mut lines: Vec<&[u8]> = lines.collect();
    let count = lines.len();
    assert!(count as u64 > crashes, "hardly anything was delivered");
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), count);
}

/// Batch after batch on one connection, until it breaks.
fn deliver(address: std::net::SocketAddr, device: u64, next: &AtomicU64, is_over: &AtomicBool) {
    use std::io::{Read, Write};

    let target = format!("/swordfish/lock/audit?sn={}", serial(device));
    let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, DEADLINE) else {
        return;
    };
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let event = next.fetch_add(1, Ordering::Relaxed);
        let call = request("POST", &target, "", body(event).as_bytes());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if head.is_empty() && stream.write_all(&call).is_err() {
                return;
            }
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            head.push(byte[0]);
        }
    }
}

#[test]
fn a_file_that_somebody_changed_is_mended_from_the_store() {
    let mut host = Host::start("");
    for event in 0..20 {
        audit(&host, event % 4, event);
    }
    let before = wait_until_copied(&host.installation);
    // While it runs: at the device's next call.
    let shortened = month_file(&host, 0);
    let text = fs_err::read(&shortened).unwrap();
    fs_err::write(&shortened, &text[..text.len() / 2]).unwrap();
    audit(&host, 0, 100);
    wait_until_copied(&host.installation);
    host.daemon.wait_for("anew from the store");
    // While it does not: at its start.
    host.daemon.terminate();
    let (_, _) = host.daemon.finish();
    let folder = host.installation.path("Engage_Data");
    let file = |device| {
        let name = before
            .keys()
            .find(|name| name.starts_with(&serial(device)) && name.contains("audits"));
        folder.join(name.unwrap())
    };
    fs_err::remove_file(file(1)).unwrap();
    let mut text = fs_err::read(file(2)).unwrap();
    text.extend_from_slice(b"{\"half a line");
    fs_err::write(file(2), text).unwrap();
    fs_err::remove_dir_all(folder.join(serial(3))).unwrap();
    let _daemon = Daemon::start(&host.installation);
    wait_until_copied(&host.installation);
}

#[test]
fn files_that_were_not_written_from_the_store_are_left_alone_and_told() {
    let installation = Host::installation("");
    let (foreign, text) = (
        format!("Engage_Data/{}", serial(1)),
        "{\"written by\": \"somebody\"}\n",
    );
    // The database is there already: nothing is taken over.
    drop(Daemon::start(&installation));
    let name = format!("{foreign}/audits-2026-01.jsonl");
    installation.write(&name, text);
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    audit(&host, 1, 1);
    audit(&host, 2, 2);
    let told = host
        .daemon
        .wait_for("are not written: its folder holds files");
    assert!(
        told.contains("hint: ") && told.contains("devices import"),
        "{told}"
    );
    let (found, expected) = (
        wait_for_file(&host.path(&serial(2))),
        exported(&host.installation),
    );
    let other = format!("{}/device.json", serial(2));
    assert!(found && expected.contains_key(&other));
    let ready = host.readiness();
    assert_eq!(ready.status(), 200);
    let ready = String::from_utf8(ready.body).unwrap();
    assert!(ready.contains("JSON files are not written"), "{ready}");
    assert_eq!(
        fs_err::read_to_string(host.installation.path(&name)).unwrap(),
        text
    );
    assert_eq!(std::fs::read_dir(host.path(&serial(1))).unwrap().count(), 1);
}

/// Whether a device's record is written in time.
fn wait_for_file(folder: &Path) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while !folder.join("device.json").exists() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn what_stands_in_the_place_of_a_file_concerns_that_device_only_and_is_not_followed() {
    let mut host = Host::start("");
    for device in 1..=4 {
        audit(&host, device, device);
    }
    wait_until_copied(&host.installation);
    let elsewhere = host.installation.path("elsewhere.txt");
    fs_err::write(&elsewhere, "mine").unwrap();
    let (link, pipe, folder) = (
        month_file(&host, 1),
        month_file(&host, 2),
        month_file(&host, 3),
    );
    for path in [&link, &pipe, &folder] {
        fs_err::remove_file(path).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    fs_err::create_dir(&folder).unwrap();
    for device in 1..=4 {
        audit(&host, device, 10 + device);
    }
    for device in 1..=3 {
        let text = format!("JSON files of device {} are not written", serial(device));
        let told = host.daemon.wait_for(&text);
        assert!(told.contains("is not a regular file"), "{told}");
    }
    let copied = Instant::now() + DEADLINE;
    while fs_err::read_to_string(month_file(&host, 4))
        .unwrap()
        .lines()
        .count()
        < 2
    {
        assert!(Instant::now() < copied);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs_err::read_to_string(&elsewhere).unwrap(), "mine");
    let stopping = Instant::now();
    host.daemon.terminate();
    let (code, _) = host.daemon.finish();
    assert_eq!(code, Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(15));
    // Put right, they are written whole.
    fs_err::remove_file(&link).unwrap();
    fs_err::remove_file(&pipe).unwrap();
    fs_err::remove_dir(&folder).unwrap();
    let _daemon = Daemon::start(&host.installation);
    wait_until_copied(&host.installation);
}

#[test]
fn two_hosts_on_one_server_write_a_copy_each() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let devices = format!("database_url = \"{}\"\njson_files = true\n", database.url());
    let hosts = [Host::start(&devices), Host::start(&devices)];
    for event in 0..30 {
        let host = &hosts[usize::try_from(event % 2).unwrap()];
        audit(host, event % 5, event);
    }
    // Each looks for what the other stored at its start, and once a minute.
    let [first, second] = hosts.map(Host::restart);
    let copied = wait_until_copied(&first.installation);
    assert_eq!(wait_until_copied(&second.installation), copied);
    assert_eq!(copied.len(), 10);
}

#[test]
fn an_export_refuses_a_directory_that_is_not_empty_and_works_while_devices_call() {
    let host = Host::start("");
    audit(&host, 1, 1);
    let export = |directory: &Path| {
        run(program()
            .args(["devices", "export"])
            .arg(directory)
            .arg("--config")
            .arg(host.installation.path("config.toml")))
    };
    let folder = tempfile::tempdir().unwrap();
    let exported = export(folder.path());
    assert_eq!(exported.code, Some(0));
    let said = exported.stdout_text();
    assert!(
        said.starts_with("ok: wrote 1 devices with 1 events into `"),
        "{said}"
    );
    let refused = export(folder.path());
    assert_eq!(refused.code, Some(1));
    let said = refused.stderr_text();
    assert!(
        said.contains("is not empty\n  hint: name a directory"),
        "{said}"
    );
    // A connection that is open does not matter.
    let mut stream = connect(host.daemon.http);
    let target = format!("/swordfish/lock/audit?sn={}", serial(1));
    let call = request("POST", &target, "", body(2).as_bytes());
    std::io::Write::write_all(&mut stream, &call).unwrap();
    assert_eq!(read_answer(&mut stream).status(), 202);
}

const DEADLINE: Duration = Duration::from_secs(40);
