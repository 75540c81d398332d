//! Pipes, links, folders and sockets where the store keeps files, and a disk that hangs: whoever's
//! trouble it is, nothing waits for it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{AUDIT, DEVICE, OTHER, assert_unavailable, codes, post};
use crate::harness::{Daemon, Host, Installation, connect, get, ledger, months, request};

/// Longer than anything but a wait without end.
const SOON: Duration = Duration::from_secs(20);

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

fn month(kind: &str) -> String {
    format!(
        "{DEVICE}/{kind}-{}.jsonl",
        Timestamp::now().strftime("%Y-%m")
    )
}

/// With a webhook, so that its files are read, to which nobody listens.
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

/// Everybody else is served, the device is answered, and the daemon ends when it is told to.
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
    for (method, target) in [
        ("PUT", "/swordfish/lock/Config"),
        ("GET", "/swordfish/lock/db/0"),
        ("POST", AUDIT),
        ("POST", "/swordfish/lock/alert"),
    ] {
        let body = if method == "POST" {
            r#"{"event":"0B040001"}"#
        } else {
            "{}"
        };
        let status = host
            .call(method, &format!("{target}?sn={DEVICE}"), body)
            .status();
        assert!(
            matches!(status, 200..=202 | 503),
            "{what}: {status} to {target}"
        );
    }
    // What cannot be understood has nothing to do with it.
    let refused = host
        .call("POST", &format!("{AUDIT}?sn={OTHER}"), "[")
        .status();
    assert!(matches!(refused, 400 | 503), "{what}: {refused}");
    assert_eq!(post(&host, OTHER, 2).status(), 202, "{what}");
    host.daemon.terminate();
    let Host {
        installation,
        daemon,
    } = host;
    let (code, log) = daemon.finish();
    assert_eq!(code, Some(0), "{what}: {log}");
    assert!(
        started.elapsed() < SOON,
        "{what}: {:?}: {log}",
        started.elapsed()
    );
    let stored = codes(&installation.path("Engage_Data").join(OTHER));
    assert_eq!(stored, ["00000001", "00000002"], "{what}");
}

#[test]
fn a_pipe_under_any_name_that_the_store_knows_keeps_nobody_waiting() {
    let in_device = [
        "device.json",
        "config.json",
        "db.json",
        ".db-last-good.json",
        ".webhook.json",
        ".webhook-undelivered.json",
        "audits-2026-01.jsonl",
        "alerts-2026-01.jsonl",
    ];
    let mut names = vec![month("audits"), month("alerts")];
    names.extend(in_device.map(|name| format!("{DEVICE}/{name}")));
    names.extend([".lock", ".clock", ".probe", "quarantine", DEVICE].map(str::to_owned));
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
fn what_a_crash_left_is_not_set_aside_in_a_pipe() {
    let installation = installation();
    let name = month("audits");
    let path = installation.path("Engage_Data").join(name);
    fs_err::write(&path, "half a line").unwrap();
    make_pipe(&path.with_extension("jsonl.0.torn"));
    assert_nobody_waits(installation, "torn");
}

#[test]
fn what_is_no_file_takes_no_events_and_its_device_is_named() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 5] = [
        ("folder", |path| fs_err::create_dir(path).unwrap()),
        ("link to a device", |path| {
            symlink("/dev/null", path).unwrap();
        }),
        ("link to a file", |path| {
            symlink("../../config.toml", path).unwrap();
        }),
        ("pipe", make_pipe),
        ("socket", |path| drop(UnixListener::bind(path).unwrap())),
    ];
    let mut host = {
        let installation = installation();
        Host {
            daemon: Daemon::start(&installation),
            installation,
        }
    };
    let path = host.path(&month("audits"));
    let configuration = fs_err::read(host.installation.path("config.toml")).unwrap();
    for (what, plant) in plants {
        plant(&path);
        assert_unavailable(&post(&host, DEVICE, 1));
        let readiness = host.readiness();
        assert_eq!(readiness.status(), 200, "{what}");
        let said = String::from_utf8(readiness.body).unwrap();
        assert!(
            said.contains(DEVICE) && said.contains("not a regular file"),
            "{what}: {said}"
        );
        if path.is_dir() {
            fs_err::remove_dir(&path).unwrap();
        } else {
            fs_err::remove_file(&path).unwrap();
        }
    }
    assert_eq!(
        fs_err::read(host.installation.path("config.toml")).unwrap(),
        configuration
    );
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    assert_eq!(host.readiness().body, b"ready\n");
}

#[test]
fn a_link_that_is_there_at_the_start_leads_to_no_file_elsewhere() {
    // What would be cut off a file of the store.
    let elsewhere = "half a line";
    let names = [
        month("audits"),
        month("alerts"),
        format!("{DEVICE}/audits-2026-01.jsonl"),
    ];
    for name in names {
        let installation = installation();
        installation.write("elsewhere", elsewhere);
        let target = installation.path("elsewhere");
        let path = installation.path("Engage_Data").join(&name);
        symlink(&target, &path).unwrap();
        let daemon = Daemon::start(&installation);
        let mut host = Host {
            installation,
            daemon,
        };
        assert_eq!(post(&host, OTHER, 1).status(), 201, "{name}");
        assert_unavailable(&post(&host, DEVICE, 1));
        let line = host.daemon.wait_for("its call-ins are answered 503");
        assert!(line.contains(DEVICE) && line.contains(&name), "{line}");
        assert_eq!(fs_err::read_to_string(&target).unwrap(), elsewhere);
        let names = ledger(&host.path(DEVICE));
        assert!(!names.iter().any(|name| name.contains("torn")), "{names:?}");
        fs_err::remove_file(&path).unwrap();
        assert_eq!(post(&host, DEVICE, 1).status(), 201, "{name}");
    }
}

#[test]
fn a_month_with_more_behind_its_last_batch_than_a_crash_leaves_is_that_devices_trouble_only() {
    let installation = installation();
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    host.daemon.terminate();
    let Host {
        installation,
        daemon,
    } = host;
    assert_eq!(daemon.finish().0, Some(0));
    let path = installation.path("Engage_Data").join(month("audits"));
    let stored = fs_err::metadata(&path).unwrap().len();
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(GIB).unwrap();
    let started = Instant::now();
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(post(&host, OTHER, 1).status(), 201);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert_unavailable(&post(&host, DEVICE, 2));
    assert_unavailable(&post(&host, DEVICE, 2));
    assert_eq!(host.readiness().status(), 200);
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), GIB);
    assert!(metadata.blocks() * 512 < GIB / 2, "it was written");
    let names = ledger(&host.path(DEVICE));
    assert!(!names.iter().any(|name| name.contains("torn")), "{names:?}");
    // Mended by whoever knows where it ended.
    file.set_len(stored).unwrap();
    assert_eq!(post(&host, DEVICE, 2).status(), 202);
    assert_eq!(codes(&host.path(DEVICE)), ["00000001", "00000002"]);
    host.daemon.terminate();
    let (code, log) = host.daemon.finish();
    assert_eq!(code, Some(0), "{log}");
    let told: Vec<_> = log
        .lines()
        .filter(|line| line.contains("its call-ins are answered 503"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains(&format!("has {GIB} bytes")) && told[0].contains("move it away"),
        "{}",
        told[0]
    );
}

const GIB: u64 = 1024 * 1024 * 1024;

/// Who else opens the file waits in the kernel until it is given up, as with a file server that is
/// gone (fcntl(2), `F_SETLEASE`); at most for 45 s.
struct Lease {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Lease {
    fn take(path: &Path) -> Self {
        const TAKE: &str = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: print('wanted', flush=True))
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('taken', flush=True)
sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", TAKE])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut lease = Self { child, said };
        lease.wait_for("taken\n");
        lease
    }

    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, text);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_disk_that_hangs_keeps_neither_certificates_nor_a_stop() {
    // Without a webhook, which would wait for the same file.
    let installation = Host::installation("");
    installation.set("[limits]", "drain_seconds = 1");
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(post(&host, DEVICE, 1).status(), 201);
    let mut lease = Lease::take(&months(&host.path(DEVICE), "audits-")[0]);
    let mut waiting = connect(host.daemon.http);
    let body = br#"{"event":"0B040001"}"#;
    let call = request("POST", &format!("{AUDIT}?sn={DEVICE}"), "", body);
    waiting.write_all(&call).unwrap();
    lease.wait_for("wanted\n");
    for _ in 0..10 {
        let announcement = get(host.daemon.http, "/swordfish/lock/certificates/current");
        assert_eq!(announcement.status(), 200);
    }
    let asked = Instant::now();
    host.daemon.terminate();
    let (code, log) = host.daemon.finish();
    assert!(asked.elapsed() < SOON, "{:?}: {log}", asked.elapsed());
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("the device store does not end: its disk hangs"),
        "{log}"
    );
    drop((lease, waiting));
}
