//! `devices backup`: a copy of the database while the daemon writes, and what is restored from it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::database::postgres::postgres;
use crate::harness::{
    Daemon, Finished, Host, Installation, Response, exchange, ledger, program, request, run,
};

fn device(number: u32) -> String {
    format!("{number:016X}")
}

fn backup(installation: &Installation, copy: &Path) -> Finished {
    run(program()
        .args(["devices", "backup"])
        .arg(copy)
        .arg("--config")
        .arg(installation.path("config.toml")))
}

/// Stores one event, and returns its code once it is acknowledged.
fn deliver(host: &Host, device_number: u32, number: u32) -> String {
    deliver_to(host.daemon.http, device_number, number)
}

fn deliver_to(host: SocketAddr, device_number: u32, number: u32) -> String {
    let code = format!("{:08X}", device_number << 16 | number);
    let body = format!(r#"{{"asyncEvents":[{{"event":"{code}","time":"20261123021259"}}]}}"#);
    let target = format!("/swordfish/lock/audit?sn={}", device(device_number));
    let request = request("POST", &target, "Connection: close\r\n", body.as_bytes());
    let answer = Response::parse(&exchange(host, request));
    assert!([201, 202].contains(&answer.status()), "{}", answer.head);
    code
}

/// The codes of all events that are stored, each of which is there once.
fn stored(installation: &Installation) -> HashSet<String> {
    let finished = run(program()
        .args(["devices", "audits", "--json", "--config"])
        .arg(installation.path("config.toml")));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    let mut codes = HashSet::new();
    for line in finished.stdout_text().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let code = event["code"].as_str().unwrap().to_owned();
        assert!(codes.insert(code.clone()), "{code} is there twice");
    }
    codes
}

/// Another installation whose only database is `copy`.
fn restored(copy: &Path) -> Host {
    let installation = Host::installation("");
    let folder = installation.path("Engage_Data");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::copy(copy, folder.join("engage-host.db")).unwrap();
    Host {
        daemon: Daemon::start(&installation),
        installation,
    }
}

#[test]
fn a_backup_under_load_has_everything_that_was_acknowledged_before_it_began() {
    let host = Host::start("");
    let copy = host.installation.path("copy.db");
    let acknowledged = Mutex::new(Vec::new());
    let is_over = AtomicBool::new(false);
    let before = std::thread::scope(|scope| {
        let (address, acknowledged, is_over) = (host.daemon.http, &acknowledged, &is_over);
        let deliver_until_over = move |device| {
            for number in 0.. {
                let code = deliver_to(address, device, number);
                acknowledged.lock().unwrap().push(code);
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        };
        for device in 0..4 {
            scope.spawn(move || deliver_until_over(device));
        }
        while acknowledged.lock().unwrap().len() < 200 {
            std::thread::yield_now();
        }
        let before = acknowledged.lock().unwrap().clone();
        let finished = backup(&host.installation, &copy);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
        before
    });
    let restored = restored(&copy);
    let found = stored(&restored.installation);
    let missing: Vec<_> = before
        .iter()
        .filter(|code| !found.contains(*code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // It goes on from there.
    let next = deliver(&restored, 9, 1);
    assert!(stored(&restored.installation).contains(&next));
}

#[cfg(unix)]
#[test]
fn a_backup_is_for_its_owner_and_touches_nothing_else() {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::start("");
    deliver(&host, 1, 1);
    let Host {
        installation,
        daemon,
    } = host;
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    let (folder, before) = contents(&installation);
    let copies = installation.path("copies");
    fs_err::create_dir(&copies).unwrap();
    let copy = copies.join("copy.db");
    let finished = backup(&installation, &copy);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    assert_eq!(contents(&installation), (folder, before));
    assert_eq!(ledger(&copies), ["copy.db"]);
    let metadata = fs_err::metadata(&copy).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777 & !0o640, 0);
    let told = format!("{} bytes, checked", metadata.len());
    assert!(finished.stdout_text().contains(&told), "{finished:?}");
    let copied = fs_err::read(&copy).unwrap();
    let again = backup(&installation, &copy);
    assert_eq!(again.code, Some(1));
    assert!(again.errors().contains("` exists\n  hint: "), "{again:?}");
    assert_eq!(fs_err::read(&copy).unwrap(), copied);
}

/// The files of `Engage_Data`, and the database's bytes.
fn contents(installation: &Installation) -> (Vec<String>, Vec<u8>) {
    let folder = installation.path("Engage_Data");
    let database = fs_err::read(folder.join("engage-host.db")).unwrap();
    (ledger(&folder), database)
}

#[test]
fn a_backup_is_made_at_a_path_from_here() {
    let host = Host::start("");
    deliver(&host, 1, 1);
    let mut command = program();
    let config = host.installation.path("config.toml");
    command.args(["devices", "backup", "copy.db", "--config"]);
    command
        .arg(config)
        .current_dir(host.installation.path("pki"));
    let made = run(&mut command);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(host.installation.path("pki/copy.db").is_file());
}

#[test]
fn a_damaged_database_makes_no_backup() {
    let host = Host::start("");
    for number in 0..100 {
        deliver(&host, 1, number);
    }
    let Host {
        installation,
        daemon,
    } = host;
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    let file = installation.path("Engage_Data/engage-host.db");
    let mut bytes = fs_err::read(&file).unwrap();
    // Every page but the first, which has the schema.
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..64].fill(0xA5);
    }
    fs_err::write(&file, bytes).unwrap();
    let copies = installation.path("copies");
    fs_err::create_dir(&copies).unwrap();
    let refused = backup(&installation, &copies.join("copy.db"));
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors().contains("restore"), "{refused:?}");
    assert_eq!(ledger(&copies), Vec::<String>::new());
}

#[test]
fn of_a_server_the_command_that_copies_it_is_told_and_is_right() {
    let Some(server) = postgres() else { return };
    let (database, other) = (server.create_database(), server.create_database());
    let host = Host::start(&format!("database_url = \"{}\"\n", database.url()));
    let code = deliver(&host, 1, 1);
    let copy = host.installation.path("it's a copy");
    let refused = backup(&host.installation, &copy);
    assert_eq!(refused.code, Some(1));
    let errors = refused.errors();
    let (_, command) = errors.split_once("hint: copy it with: ").unwrap();
    shell(command);
    let restore = format!("pg_restore --dbname='{}' \"$1\"", other.url());
    shell(&restore.replace("$1", &copy.display().to_string()));
    let restored = Host::start(&format!("database_url = \"{}\"\n", other.url()));
    assert_eq!(stored(&restored.installation), HashSet::from([code]));
}

fn shell(command: &str) {
    let versions = fs_err::read_dir("/usr/lib/postgresql").unwrap();
    let programs: Option<PathBuf> = versions
        .map(|version| version.unwrap().path().join("bin"))
        .max();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", programs.unwrap().display());
    let finished = run(Command::new("sh").args(["-c", command]).env("PATH", path));
    assert_eq!(
        finished.code,
        Some(0),
        "{command}: {}",
        finished.stderr_text()
    );
}
