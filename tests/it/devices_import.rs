//! What version 0.1.0 kept in files comes into the database: by command, and by itself at a start.

mod fixture;

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::database::postgres::postgres;
use crate::harness::{Daemon, Finished, Host, Installation, program, run};
use crate::json_files::{Files, exported, files, wait_until_copied};
use crate::webhook::{self, ReceiverOnLoopback};
use fixture::{Old, audit, body_of};

const DEVICE: &str = "0123456789ABCDEF";

fn import(installation: &Installation, directory: &Path) -> Finished {
    run(program()
        .args(["devices", "import"])
        .arg(directory)
        .arg("--config")
        .arg(installation.path("config.toml")))
}

fn export_into(installation: &Installation, directory: &Path) -> Finished {
    run(program()
        .args(["devices", "export"])
        .arg(directory)
        .arg("--config")
        .arg(installation.path("config.toml")))
}

/// An installation whose directory is there and empty.
fn empty(devices: &str) -> Installation {
    let installation = Host::installation(devices);
    fs_err::create_dir(installation.path("Engage_Data")).unwrap();
    installation
}

/// The lines of a log, without what was never acknowledged and what is damaged.
fn whole_lines(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let is_whole =
        |line: &&[u8]| line.starts_with(b"{\"received_at\"") && !line.starts_with(fixture::TORN);
    lines.filter(is_whole).flatten().copied().collect()
}

#[test]
fn everything_is_taken_over_once_and_what_is_damaged_is_told() {
    let old = Old::new();
    old.device(DEVICE);
    let name = format!("{DEVICE}/audits-2026-10.jsonl");
    let damaged = [&fs_err::read(old.path(&name)).unwrap()[..], b"no event\n"].concat();
    old.write(&name, &damaged);
    old.write(
        "quarantine/20261123T021305.000000000Z-0123456789ABCDEF-audit.body",
        b"{{{",
    );
    let installation = empty("");
    let first = import(&installation, old.root());
    let said = first.stderr_text();
    assert_eq!(first.code, Some(1), "{said}");
    assert!(
        said.contains("audits-2026-10.jsonl`: 1 lines that are no events are left out"),
        "{said}"
    );
    assert!(
        said.contains("audits-2026-11.jsonl`: the ") && said.contains("never acknowledged"),
        "{said}"
    );
    assert!(
        said.contains("error: 2 things were left out\n  hint: "),
        "{said}"
    );
    let said = first.stdout_text();
    assert_eq!(
        said,
        "ok: 1 devices, 1 refused bodies and 9 events that were not in the database yet\n"
    );
    let found = exported(&installation);
    for (name, text) in files(old.root()) {
        let expected = if name.contains(".jsonl") {
            whole_lines(&text)
        } else {
            text
        };
        let found = String::from_utf8_lossy(&found[&name]);
        assert_eq!(found, String::from_utf8_lossy(&expected), "{name}");
    }
    let again = import(&installation, old.root());
    assert_eq!(again.code, Some(1));
    let said = again.stdout_text();
    assert!(said.contains(" 0 events that were not"), "{said}");
    assert_eq!(exported(&installation), found);
    let shown = |args: &[&str]| {
        let config = installation.path("config.toml");
        let finished = run(program()
            .arg("devices")
            .args(args)
            .arg("--config")
            .arg(config));
        assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
        finished.stdout_text()
    };
    assert_eq!(shown(&["quarantine", "show", DEVICE]), "{{{");
    assert!(shown(&["undelivered"]).contains("the receiver said no"));
    assert!(shown(&["show", DEVICE]).contains("NDE80"));
}

#[test]
fn the_webhook_goes_on_where_it_was_and_a_repeated_batch_is_known() {
    let old = Old::new();
    old.device(DEVICE);
    old.write(&format!("{DEVICE}/db.json"), fixture::DATABASE.as_bytes());
    let receiver = ReceiverOnLoopback::start_deciding(|_| 200);
    let installation = webhook::installation("", &format!("http://{}/hook", receiver.address));
    fs_err::create_dir(installation.path("Engage_Data")).unwrap();
    // From the old folder into one database, and from there into another one.
    let first = empty("");
    assert_eq!(import(&first, old.root()).code, Some(1));
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    assert_eq!(export_into(&first, &export).code, Some(0));
    assert_eq!(import(&installation, &export).code, Some(0));
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let answer = host.call("GET", &format!("/swordfish/lock/db/0?sn={DEVICE}"), "");
    assert!(String::from_utf8_lossy(&answer.body).contains("\"schedules\""));
    // The last batch again, whose acknowledgement was not heard, and something new.
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(
        host.call("POST", &target, body_of(&fixture::LAST_AUDITS))
            .status(),
        202
    );
    assert_eq!(host.call("POST", &target, body_of(&[77])).status(), 202);
    let mut delivered = Vec::new();
    while delivered.last() != Some(&77) {
        let delivery = receiver.next();
        assert_eq!(delivery.device, DEVICE);
        delivered.extend(delivery.events);
    }
    assert_eq!(delivered, [fixture::UNDELIVERED, &[77]].concat());
}

#[test]
fn a_daemon_takes_over_the_files_in_its_directory_and_goes_on_adding_to_them() {
    let installation = empty("");
    let old = Old::at(&installation.path("Engage_Data"));
    old.device(DEVICE);
    let before = files(old.root());
    let mut daemon = Daemon::start(&installation);
    let said = daemon.wait_for("took over 1 devices with 9 events");
    assert!(said.contains("1 things were left out"), "{said}");
    let host = Host {
        installation,
        daemon,
    };
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &target, body_of(&[77])).status(), 202);
    let after = wait_until_copied(&host.installation);
    for (name, text) in before {
        if name.contains(".jsonl") {
            assert!(after[&name].starts_with(&whole_lines(&text)), "{name}");
        }
    }
    let lines: usize = after
        .values()
        .map(|text| whole_lines(text).split(|it| *it == b'\n').count() - 1)
        .sum();
    assert_eq!(lines, 10);
    // The next start has nothing to take over.
    let mut host = host.restart();
    assert_eq!(host.readiness().status(), 200);
    assert_eq!(host.daemon.seen("took over").count(), 0);
}

#[test]
fn whenever_it_is_killed_a_second_run_ends_with_the_same() {
    let old = Old::new();
    for device in 0..60 {
        old.device(&format!("{device:016X}"));
    }
    let whole = {
        let installation = empty("");
        assert_eq!(import(&installation, old.root()).code, Some(1));
        exported(&installation)
    };
    let installation = empty("");
    for attempt in 0..8 {
        let mut child = program()
            .args(["devices", "import"])
            .arg(old.root())
            .arg("--config")
            .arg(installation.path("config.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment itself, not a wait for anything.
        thread::sleep(Duration::from_millis(10 + 12 * attempt));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(import(&installation, old.root()).code, Some(1));
    assert!(exported(&installation) == whole);
}

#[test]
fn a_daemon_that_is_killed_while_it_takes_over_goes_on_at_the_next_start() {
    let installation = empty("");
    let old = Old::at(&installation.path("Engage_Data"));
    for device in 0..60 {
        old.device(&format!("{device:016X}"));
    }
    let old_files: Files = files(old.root())
        .into_iter()
        .filter(|(name, _)| name.contains(".jsonl"))
        .map(|(name, text)| (name, whole_lines(&text)))
        .collect();
    for attempt in 0..6 {
        let mut child = program()
            .args(["serve", "--config"])
            .arg(installation.path("config.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(20 + 15 * attempt));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let deadline = Instant::now() + Duration::from_secs(40);
    while host.readiness().status() != 200 {
        assert!(Instant::now() < deadline, "still not ready");
        thread::sleep(Duration::from_millis(20));
    }
    let mut copied = wait_until_copied(&host.installation);
    copied.retain(|name, _| name.contains(".jsonl"));
    assert!(copied == old_files);
}

#[test]
fn a_directory_that_a_daemon_writes_to_is_refused_and_so_is_one_without_records() {
    let old = Old::new();
    old.device(DEVICE);
    let held = std::fs::File::open(old.root()).unwrap();
    held.try_lock().unwrap();
    old.write(".lock", b"4711\n");
    let installation = empty("");
    let refused = import(&installation, old.root());
    assert_eq!(refused.code, Some(1));
    let said = refused.stderr_text();
    assert!(
        said.contains("is in use by process 4711\n  hint: stop that engage-host"),
        "{said}"
    );
    drop(held);
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let refused = import(&host.installation, old.root());
    assert!(refused.stderr_text().contains("is in use by process "));
    let nothing = tempfile::tempdir().unwrap();
    let refused = import(&host.installation, nothing.path());
    let said = refused.stderr_text();
    assert!(
        said.contains("holds no records of devices\n  hint: "),
        "{said}"
    );
}

#[test]
fn beside_a_daemon_on_a_server_records_are_taken_over_while_devices_call() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let old = Old::new();
    for device in 0..20 {
        old.device(&format!("{device:016X}"));
    }
    let host = Host::start(&format!("database_url = \"{}\"\n", database.url()));
    let (first, other) = (
        "/swordfish/lock/audit?sn=0000000000000001",
        "/swordfish/lock/audit?sn=FFFFFFFFFFFFFFFF",
    );
    assert_eq!(host.call("POST", first, body_of(&[88])).status(), 201);
    let imported = import(&host.installation, old.root());
    assert_eq!(imported.code, Some(1), "{}", imported.stderr_text());
    assert!(
        imported.stdout_text().contains(" 180 events"),
        "{}",
        imported.stdout_text()
    );
    assert_eq!(host.call("POST", other, body_of(&[99])).status(), 201);
    assert_eq!(
        host.call("POST", first, body_of(&fixture::LAST_AUDITS))
            .status(),
        202
    );
    let found = exported(&host.installation);
    let lines = |name: &str| {
        found
            .iter()
            .filter(|(it, _)| it.starts_with(name) && it.contains(".jsonl"))
            .map(|(_, text)| text.split(|it| *it == b'\n').count() - 1)
            .sum::<usize>()
    };
    assert_eq!(lines("0000000000000001"), 10);
    assert_eq!(lines("0000000000000002"), 9);
    assert_eq!(import(&host.installation, old.root()).code, Some(1));
    let events = |mut files: Files| {
        files.retain(|name, _| name.contains(".jsonl"));
        files
    };
    assert!(events(exported(&host.installation)) == events(found));
}

#[test]
fn months_that_are_older_than_what_is_stored_cut_no_copy() {
    let old = Old::new();
    old.device(DEVICE);
    let host = Host::start("");
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &target, body_of(&[88])).status(), 201);
    wait_until_copied(&host.installation);
    let (installation, _) = host.stop();
    let imported = import(&installation, old.root());
    assert!(
        imported.stdout_text().contains(" 9 events"),
        "{}",
        imported.stdout_text()
    );
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let files = wait_until_copied(&host.installation);
    let logs = files.iter().filter(|(name, _)| name.contains(".jsonl"));
    let lines: usize = logs
        .map(|(_, text)| whole_lines(text).split(|it| *it == b'\n').count() - 1)
        .sum();
    assert_eq!(lines, 10);
}

#[test]
fn what_files_have_and_a_restored_backup_has_not_can_be_imported() {
    let host = Host::start("");
    audit(&host, 1, 1);
    wait_until_copied(&host.installation);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.db");
    let config = host.installation.path("config.toml");
    let mut command = program();
    command.args(["devices", "backup"]).arg(&backup);
    assert_eq!(run(command.arg("--config").arg(config)).code, Some(0));
    audit(&host, 1, 2);
    let whole = wait_until_copied(&host.installation);
    let (installation, _) = host.stop();
    let database = installation.path("Engage_Data/engage-host.db");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", database.display()));
    }
    fs_err::copy(&backup, &database).unwrap();
    let mut daemon = Daemon::start(&installation);
    daemon.wait_for("events that the database does not have");
    let host = Host {
        installation,
        daemon,
    };
    let (installation, _) = host.stop();
    let unknown = installation.path("Engage_Data/unknown");
    let imported = import(&installation, &unknown);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr_text());
    let events = |mut files: Files| {
        files.retain(|name, _| name.contains(".jsonl"));
        files
    };
    assert!(events(exported(&installation)) == events(whole));
}

#[test]
fn an_export_is_imported_as_it_was() {
    let host = Host::start("");
    for event in 0..30 {
        audit(&host, event % 3, event);
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("export");
    assert_eq!(export_into(&host.installation, &directory).code, Some(0));
    let installation = empty("");
    let imported = import(&installation, &directory);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr_text());
    assert_eq!(exported(&installation), files(&directory));
}

#[test]
fn a_folder_without_deliveries_makes_no_device_and_its_database_is_as_old_as_its_file() {
    let old = Old::new();
    old.device(DEVICE);
    for (name, text) in [
        ("00000000000000AA/db.json", fixture::DATABASE),
        ("00000000000000AB/.db-last-good.json", fixture::DATABASE),
        ("00000000000000AC/.webhook.json", "{}"),
        ("00000000000000AD/config.json", "{}"),
    ] {
        old.write(name, text.as_bytes());
        let file = fs_err::File::options().write(true).open(old.path(name));
        let written_at = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.unwrap().file().set_modified(written_at).unwrap();
    }
    let installation = empty("");
    assert_eq!(import(&installation, old.root()).code, Some(1));
    let shown = |args: &[&str]| {
        let config = installation.path("config.toml");
        let command = &mut program();
        let finished = run(command
            .arg("devices")
            .args(args)
            .arg("--config")
            .arg(config));
        serde_json::from_slice::<serde_json::Value>(&finished.stdout).unwrap()
    };
    let devices = shown(&["--json"]);
    let devices: Vec<_> = devices.as_array().unwrap().iter().collect();
    assert_eq!(devices.len(), 2, "{devices:?}");
    assert_eq!(devices[0]["device"], "00000000000000AD");
    assert_eq!(devices[0]["first_seen"], "2023-11-14T22:13:20Z");
    assert_eq!(devices[1]["device"], DEVICE);
    let database = shown(&["db", "show", "00000000000000AA", "--json"]);
    assert_eq!(database["taken_at"], "2023-11-14T22:13:20Z");
}
