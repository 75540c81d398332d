//! A disk that is full, read-only or broken: nothing is acknowledged, certificates are served, and
//! call-ins are stored again as soon as the disk takes them.

mod damaged;
mod locked;
mod moved;
mod not_files;
mod rate;

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::{Daemon, Host, Response, get, program, run};

const AUDIT: &str = "/swordfish/lock/audit";
const DEVICE: &str = "0123456789ABCDEF";
const OTHER: &str = "00000000000000FF";

fn post(host: &Host, device: &str, event: u32) -> Response {
    let body = format!(r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20051013130309"}}]}}"#);
    host.call("POST", &format!("{AUDIT}?sn={device}"), body)
}

/// Nothing can be stored: the answers and the readiness say so, and nothing else suffers.
fn assert_out_of_order(host: &mut Host) {
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let reason = String::from_utf8(readiness.body).unwrap();
    assert!(
        reason.contains("not ready: call-ins cannot be stored"),
        "{reason}"
    );
    for target in [
        "/swordfish/lock/certificates/current",
        "/static/Device_Certificates/partner_CA.der",
        "/swordfish/lock/db/0",
    ] {
        assert_eq!(get(host.daemon.http, target).status(), 200, "{target}");
    }
    let line = host.daemon.wait_for("the device store cannot be written");
    assert!(line.contains("ERROR"), "{line}");
}

fn assert_in_order(host: &mut Host) {
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 200, "{readiness:?}");
    host.daemon
        .wait_for("the device store can be written again");
}

fn assert_unavailable(answer: &Response) {
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(answer.body, br#"{"error":"storage unavailable"}"#);
}

/// The longest file that the daemon may write, in bytes.
fn limit_file_size(host: &Host, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(host.daemon.id()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn a_file_that_may_not_grow_keeps_what_it_has_and_takes_more_later() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    limit_file_size(&host, Some(0));
    assert_unavailable(&post(&host, OTHER, 3));
    assert_unavailable(&host.call("PUT", "/swordfish/lock/Config?sn=00000000000000FF", "{}"));
    assert_unavailable(&host.call(
        "POST",
        AUDIT,
        "what is not understood is kept, or not refused",
    ));
    assert_out_of_order(&mut host);
    // Ever more of it is written, until there is room for all.
    let is_stored = |bytes: u64| {
        limit_file_size(&host, Some(bytes));
        let answer = post(&host, DEVICE, 2);
        if answer.status() != 202 {
            assert_unavailable(&answer);
            assert_eq!(host.codes(DEVICE), ["00000001"], "{bytes}");
        }
        answer.status() == 202
    };
    assert!((0..1000).map(|step| step * 1500).any(is_stored));
    limit_file_size(&host, None);
    assert_eq!(post(&host, OTHER, 3).status(), 201);
    assert_in_order(&mut host);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000002"]);
    assert_eq!(host.codes(OTHER), ["00000003"]);
}

#[test]
fn readiness_returns_without_a_device_that_calls() {
    let mut host = Host::start("");
    limit_file_size(&host, Some(0));
    assert_unavailable(&post(&host, DEVICE, 1));
    assert_out_of_order(&mut host);
    limit_file_size(&host, None);
    host.daemon
        .wait_for("the device store can be written again");
    assert_in_order(&mut host);
}

#[test]
fn a_folder_that_became_a_file_costs_its_device_no_audits() {
    let host = Host::start("");
    let folder = host.path(DEVICE);
    fs_err::write(&folder, "a file").unwrap();
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let database = format!("/swordfish/lock/db/0?sn={DEVICE}");
    assert_eq!(host.call("GET", &database, "").status(), 200);
    assert_eq!(fs_err::read(&folder).unwrap(), b"a file");
    assert_eq!(host.codes(DEVICE), ["00000001"]);
}

/// What it has open stays open: it is the next start that finds it out.
#[test]
fn without_permission_nothing_is_acknowledged_until_it_is_given() {
    let host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let (installation, _) = host.stop();
    let root = installation.path("Engage_Data");
    let database = root.join("engage-host.db");
    set_mode(&database, 0o440);
    set_mode(&root, 0o550);
    let mut command = Command::new("setpriv");
    // Root may write whatever the mode says, unless it gives that up.
    if rustix::process::geteuid().is_root() {
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
    }
    command
        .arg(program().get_program())
        .arg("serve")
        .arg("--config")
        .arg(installation.path("config.toml"))
        .env_remove("RUST_LOG");
    let daemon = Daemon::run(&mut command);
    let mut host = Host {
        installation,
        daemon,
    };
    assert_unavailable(&post(&host, DEVICE, 2));
    let line = host.daemon.wait_for("until the store can be opened");
    assert!(line.contains("Permission denied"), "{line}");
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);
    set_mode(&root, 0o750);
    set_mode(&database, 0o640);
    await_readiness(&mut host);
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_eq!(host.codes(DEVICE), ["00000001", "00000002"]);
}

fn await_readiness(host: &mut Host) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.readiness().status() != 200 {
        assert!(Instant::now() < deadline, "{:?}", host.readiness());
        thread::yield_now();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_full_disk_acknowledges_nothing_until_there_is_room() {
    let Some(mut host) = in_own_mounts() else {
        return;
    };
    let mut acknowledged = vec![0];
    assert_eq!(post(&host, DEVICE, 0).status(), 201);
    let ballast = mounted(&host).join("ballast");
    fill(&ballast);
    // The last page of a file may still have room.
    let refused = (1..2000)
        .find(|event| {
            let status = post(&host, DEVICE, *event).status();
            assert!(matches!(status, 202 | 503), "{status}");
            if status == 202 {
                acknowledged.push(*event);
            }
            status == 503
        })
        .unwrap();
    assert_unavailable(&post(&host, OTHER, 1));
    assert_out_of_order(&mut host);
    let reason = String::from_utf8(host.readiness().body).unwrap();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(codes_inside(&host), hexadecimal(&acknowledged));
    fs_err::remove_file(ballast).unwrap();
    assert_eq!(post(&host, DEVICE, refused).status(), 202);
    assert_eq!(post(&host, OTHER, 1).status(), 201);
    assert_in_order(&mut host);
    acknowledged.push(refused);
    assert_eq!(codes_inside(&host), hexadecimal(&acknowledged));
}

#[test]
fn a_disk_that_is_read_only_is_used_when_it_can_be_written() {
    let Some(mut host) = in_own_mounts_with("mount -o remount,ro \"$0\"") else {
        return;
    };
    assert_unavailable(&post(&host, DEVICE, 1));
    let line = host.daemon.wait_for("until the store can be opened");
    assert!(line.contains("Read-only file system"), "{line}");
    let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);
    let mut remount = inside(&host, "mount");
    remount.args(["-o", "remount,rw"]).arg(host.path(""));
    assert_eq!(run(&mut remount).code, Some(0));
    await_readiness(&mut host);
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    assert_eq!(codes_inside(&host), ["00000001"]);
}

fn hexadecimal(events: &[u32]) -> Vec<String> {
    events.iter().map(|event| format!("{event:08X}")).collect()
}

/// A daemon whose device directory is a small file system of its own; `None` where none can be
/// mounted.
fn in_own_mounts() -> Option<Host> {
    in_own_mounts_with(":")
}

/// As [`in_own_mounts`]; `script` changes it before the start.
fn in_own_mounts_with(script: &str) -> Option<Host> {
    let installation = Host::installation("");
    let root = installation.path("Engage_Data");
    fs_err::create_dir(&root).unwrap();
    if !can_mount(&root) {
        return None;
    }
    let mut command = with_mount(&root, script);
    command
        .arg(program().get_program())
        .arg("serve")
        .arg("--config")
        .arg(installation.path("config.toml"))
        .env_remove("RUST_LOG");
    let daemon = Daemon::run(&mut command);
    Some(Host {
        installation,
        daemon,
    })
}

/// The device directory, which only the daemon has mounted.
fn mounted(host: &Host) -> PathBuf {
    let root = host.path("");
    PathBuf::from(format!("/proc/{}/root", host.daemon.id())).join(root.strip_prefix("/").unwrap())
}

/// Runs a program where the daemon's file systems are mounted.
fn inside(host: &Host, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--user", "--mount", "--preserve-credentials", "--target"])
        .arg(host.daemon.id().to_string())
        .arg("--")
        .arg(program);
    command
}

fn codes_inside(host: &Host) -> Vec<String> {
    let mut command = inside(host, program().get_program());
    command.args(["devices", "audits", DEVICE, "--json", "--config"]);
    let printed = run(command.arg(host.installation.path("config.toml")));
    assert_eq!(printed.code, Some(0), "{}", printed.stderr_text());
    let code = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["code"].as_str().unwrap().to_owned()
    };
    printed.stdout_text().lines().map(code).collect()
}

/// Runs what follows with a small file system of its own at `folder`, which ends with it.
fn with_mount(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=2m tmpfs \"$0\" && {script} && exec \"$@\"");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(folder);
    command
}

/// Not everywhere is it allowed; where it should be, its absence is a failure.
fn can_mount(folder: &Path) -> bool {
    let tried = run(with_mount(folder, ":").arg("true"));
    if tried.code == Some(0) {
        return true;
    }
    let must_work = std::env::var_os("CI").is_some() && rustix::process::geteuid().is_root();
    assert!(!must_work, "{}", tried.stderr_text());
    println!(
        "skipped: no file system can be mounted: {}",
        tried.stderr_text()
    );
    false
}

fn fill(path: &Path) {
    use std::io::Write;

    let mut file = fs_err::File::create(path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[0; 1024]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}
