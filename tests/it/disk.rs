//! A disk that is full, read-only or broken: nothing is acknowledged, certificates are served, and
//! call-ins are stored again as soon as the disk takes them.

mod moved;
mod not_files;
mod rate;

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::{Daemon, Host, Response, get, months, program, run, stored};

const AUDIT: &str = "/swordfish/lock/audit";
const DEVICE: &str = "0123456789ABCDEF";
const OTHER: &str = "00000000000000FF";

fn post(host: &Host, device: &str, event: u32) -> Response {
    let body = format!(r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20051013130309"}}]}}"#);
    host.call("POST", &format!("{AUDIT}?sn={device}"), body)
}

fn codes(device: &Path) -> Vec<String> {
    stored(device, "audits-")
        .iter()
        .map(|line| line["code"].as_str().unwrap().to_owned())
        .collect()
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
    let folder = host.path(DEVICE);
    let file = months(&folder, "audits-").remove(0);
    let before = fs_err::read(&file).unwrap();
    // Room for the beginning of a line, and then for nothing.
    for more in [20, 0] {
        limit_file_size(&host, Some(before.len() as u64 + more));
        assert_unavailable(&post(&host, DEVICE, 2));
        assert_eq!(fs_err::read(&file).unwrap(), before);
    }
    limit_file_size(&host, Some(0));
    assert_unavailable(&post(&host, OTHER, 3));
    assert_unavailable(&host.call("PUT", "/swordfish/lock/Config?sn=00000000000000FF", "{}"));
    assert_unavailable(&host.call(
        "POST",
        AUDIT,
        "what is not understood is kept, or not refused",
    ));
    assert_out_of_order(&mut host);
    limit_file_size(&host, None);
    assert_eq!(post(&host, OTHER, 3).status(), 201);
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_in_order(&mut host);
    assert_eq!(codes(&folder), ["00000001", "00000002"]);
    assert_eq!(codes(&host.path(OTHER)), ["00000003"]);
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
fn a_directory_that_became_a_file_is_that_devices_trouble_only() {
    let mut host = Host::start("");
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let (folder, aside) = (host.path(DEVICE), host.path("aside"));
    fs_err::rename(&folder, &aside).unwrap();
    fs_err::write(&folder, "a file").unwrap();
    assert_unavailable(&post(&host, DEVICE, 2));
    assert_eq!(post(&host, OTHER, 3).status(), 201);
    // Others are served, so the host is ready; whose records are not, it says.
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 200, "{readiness:?}");
    let said = String::from_utf8(readiness.body).unwrap();
    assert!(
        said.starts_with(&format!("ready\nwarning: records of device {DEVICE}: ")),
        "{said}"
    );
    let line = host.daemon.wait_for("those of others are stored");
    assert!(line.contains("WARN") && line.contains(DEVICE), "{line}");
    fs_err::remove_file(&folder).unwrap();
    fs_err::rename(&aside, &folder).unwrap();
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    host.daemon.wait_for("can be written again");
    assert_eq!(host.readiness().body, b"ready\n");
    assert_eq!(codes(&folder), ["00000001", "00000002"]);
}

#[test]
fn lost_permission_is_unavailable_until_it_is_given_back() {
    let installation = Host::installation("");
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
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let folder = host.path(DEVICE);
    let file = months(&folder, "audits-").remove(0);
    set_mode(&file, 0o440);
    assert_unavailable(&post(&host, DEVICE, 2));
    set_mode(&host.path(""), 0o550);
    assert_unavailable(&post(&host, OTHER, 3));
    assert_out_of_order(&mut host);
    set_mode(&host.path(""), 0o750);
    assert_eq!(post(&host, OTHER, 3).status(), 201);
    set_mode(&file, 0o640);
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_in_order(&mut host);
    assert_eq!(codes(&folder), ["00000001", "00000002"]);
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_full_disk_acknowledges_nothing_until_there_is_room() {
    let installation = Host::installation("");
    fs_err::create_dir(installation.path("Engage_Data")).unwrap();
    if !can_mount(&installation.path("Engage_Data")) {
        return;
    }
    let mut command = in_own_mounts(&installation.path("Engage_Data"));
    command
        .arg(program().get_program())
        .arg("serve")
        .arg("--config")
        .arg(installation.path("config.toml"))
        .env_remove("RUST_LOG");
    let daemon = Daemon::run(&mut command);
    // Only the daemon has it mounted.
    let mounted = PathBuf::from(format!("/proc/{}/root", daemon.id()));
    let ours = installation.path("Engage_Data");
    let ledger = mounted.join(ours.strip_prefix("/").unwrap());
    let mut host = Host {
        installation,
        daemon,
    };
    let mut acknowledged = vec![0];
    assert_eq!(post(&host, DEVICE, 0).status(), 201);
    fill(&ledger.join("ballast"));
    // The last page of a file may still have room.
    let refused = (1..200)
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
    assert_eq!(codes(&ledger.join(DEVICE)), hexadecimal(&acknowledged));
    fs_err::remove_file(ledger.join("ballast")).unwrap();
    assert_eq!(post(&host, DEVICE, refused).status(), 202);
    assert_eq!(post(&host, OTHER, 1).status(), 201);
    assert_in_order(&mut host);
    acknowledged.push(refused);
    assert_eq!(codes(&ledger.join(DEVICE)), hexadecimal(&acknowledged));
}

fn hexadecimal(events: &[u32]) -> Vec<String> {
    events.iter().map(|event| format!("{event:08X}")).collect()
}

/// Runs what follows with a small file system of its own at `folder`, which ends with it.
fn in_own_mounts(folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=256k tmpfs \"$0\" && exec \"$@\"")
        .arg(folder);
    command
}

/// Not everywhere is it allowed; where it should be, its absence is a failure.
fn can_mount(folder: &Path) -> bool {
    let tried = run(in_own_mounts(folder).arg("true"));
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
