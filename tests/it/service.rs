//! What systemd gives and is told.

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Daemon, Installation, Response, connect, get, program, read_answer, run, standard,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// The socket of a service manager.
struct Notified(UnixDatagram);

impl Notified {
    fn new(installation: &Installation) -> Self {
        let socket = UnixDatagram::bind(installation.path("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(socket)
    }

    /// The next message that is not about the watchdog.
    fn next(&self) -> String {
        loop {
            let message = self.next_of_any_kind().expect("a message in time");
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }

    fn next_of_any_kind(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }
}

#[test]
fn readiness_reloads_and_the_end_are_told() {
    let installation = Installation::new(standard());
    let manager = Notified::new(&installation);
    let mut daemon = Daemon::start_with(&installation, |command| {
        command.env("NOTIFY_SOCKET", installation.path("notify"));
    });
    assert_eq!(manager.next(), SERVING);
    daemon.hang_up();
    let reloading = manager.next();
    let (first, second) = reloading.trim().split_once('\n').unwrap();
    assert_eq!(first, "RELOADING=1");
    let since_boot = second.strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(since_boot.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next(), SERVING);
    // A refused reload ends too, or systemd would wait for it; the status line says why.
    daemon.wait_for("reloaded:");
    let chain = fs_err::read(installation.path("pki/partner_server.pem")).unwrap();
    installation.write("pki/partner_server.pem", "");
    daemon.hang_up();
    assert!(manager.next().starts_with("RELOADING=1"));
    let refused = manager.next();
    let status = refused
        .strip_prefix("READY=1\nSTATUS=reload refused, serving the previous state: ")
        .unwrap_or_else(|| panic!("{refused:?}"));
    assert!(status.contains("partner_server.pem"), "{status}");
    assert!(status.contains("; hint: "), "{status}");
    daemon.wait_for("reload refused");
    installation.write("pki/partner_server.pem", chain);
    daemon.hang_up();
    assert!(
        std::iter::repeat_with(|| manager.next())
            .take(6)
            .any(|message| message == SERVING),
        "the refusal is not said for ever"
    );
    daemon.terminate();
    // The watch may have told of one more reload.
    let stopping = std::iter::repeat_with(|| manager.next())
        .take(3)
        .find(|message| message.trim() == "STOPPING=1");
    assert!(stopping.is_some());
    assert_eq!(daemon.finish().0, Some(0));
}

/// What the service manager hears of a daemon whose files are in force.
const SERVING: &str = "READY=1\nSTATUS=serving\n";

/// An installation whose daemon has a folder for its socket, as systemd makes one.
fn with_runtime_directory() -> (Installation, Daemon) {
    let installation = Installation::new(standard());
    let folder = installation.path("run");
    fs_err::create_dir(&folder).unwrap();
    // Left by a daemon that was killed.
    drop(UnixListener::bind(folder.join("reload.sock")).unwrap());
    let daemon = Daemon::start_with(&installation, |command| {
        command.env("RUNTIME_DIRECTORY", &folder);
    });
    (installation, daemon)
}

fn reload(installation: &Installation) -> Command {
    let mut command = program();
    command
        .args(["reload", "--socket"])
        .arg(installation.path("run/reload.sock"));
    command
}

#[test]
fn the_reload_command_waits_for_the_new_state() {
    let (installation, daemon) = with_runtime_directory();
    let before = get(daemon.http, ANNOUNCEMENT).json("hash");
    installation.write("pki/site.key", "c3".repeat(32));
    let finished = run(&mut reload(&installation));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    assert_eq!(
        finished.stdout_text(),
        "reloaded: new connections get the new state\n"
    );
    assert_ne!(before, get(daemon.http, ANNOUNCEMENT).json("hash"));
    let finished = run(reload(&installation).arg("--json"));
    assert_eq!(finished.code, Some(0));
    let report: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(report, serde_json::json!({ "ok": true }));
}

#[test]
fn the_reload_command_fails_and_says_why_the_daemon_refused() {
    let (installation, daemon) = with_runtime_directory();
    let before = get(daemon.http, ANNOUNCEMENT).json("hash");
    installation.write("pki/site.key", "too short");
    installation.write("pki/partner_server.pem", "");
    let finished = run(&mut reload(&installation));
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stdout_text(), "");
    let errors = finished.errors();
    assert!(errors.contains("partner_server.pem"), "{errors}");
    assert!(errors.contains("site.key"), "{errors}");
    assert_eq!(errors.matches("  hint: ").count(), 2, "{errors}");
    let finished = run(reload(&installation).arg("--json"));
    assert_eq!(finished.code, Some(1));
    let report: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["refusals"].as_array().unwrap().len(), 2);
    assert_eq!(before, get(daemon.http, ANNOUNCEMENT).json("hash"));
}

#[test]
fn the_reload_command_fails_for_one_bad_site_although_the_rest_is_in_force() {
    let (installation, daemon) = with_runtime_directory();
    let before = get(daemon.http, ANNOUNCEMENT).json("hash");
    installation.write("pki/site.key", "c3".repeat(32));
    let annex = "[[site]]\nname = \"Annex\"\nkey_file = \"pki/annex.key\"\nhosts = [\"annex\"]\n\
                 certificate = \"static/Device_Certificates/partner_CA.der\"\n\n[[site]]";
    installation.edit("[[site]]", annex);
    let finished = run(&mut reload(&installation));
    assert_eq!(finished.code, Some(1));
    let errors = finished.errors();
    let expected = "error: the new state is in force, but site `Annex` is answered 503: failed to read site key";
    assert!(errors.starts_with(expected), "{errors}");
    assert_ne!(before, get(daemon.http, ANNOUNCEMENT).json("hash"));
}

#[test]
fn the_reload_command_says_that_there_is_no_daemon() {
    let (installation, daemon) = with_runtime_directory();
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    let finished = run(&mut reload(&installation));
    assert_eq!(finished.code, Some(1));
    let errors = finished.errors();
    assert!(errors.contains("failed to reach the daemon at"), "{errors}");
    assert!(errors.contains("  hint: start it"), "{errors}");
}

#[test]
fn a_daemon_that_does_not_answer_is_no_success() {
    let installation = Installation::new(standard());
    fs_err::create_dir(installation.path("run")).unwrap();
    let listener = UnixListener::bind(installation.path("run/reload.sock")).unwrap();
    let stopping = std::thread::spawn(move || drop(listener.accept()));
    let finished = run(&mut reload(&installation));
    stopping.join().unwrap();
    assert_eq!(finished.code, Some(1));
    let errors = finished.errors();
    assert!(errors.contains("did not say what became"), "{errors}");
}

/// Starts the daemon with a watchdog of `usec` microseconds, which is for its process alone.
fn start_watched(installation: &Installation, usec: &str) -> Daemon {
    Daemon::run(
        Command::new("sh")
            .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
            .arg(program().get_program())
            .args(["serve", "--config"])
            .arg(installation.path("config.toml"))
            .env("NOTIFY_SOCKET", installation.path("notify"))
            .env("WATCHDOG_USEC", usec)
            .env("RUST_LOG", "debug"),
    )
}

#[test]
fn the_watchdog_is_fed_while_the_daemon_lives_and_not_when_it_is_stopped() {
    let installation = Installation::new(standard()).with_admin();
    let manager = Notified::new(&installation);
    let mut daemon = start_watched(&installation, "600000");
    let mut fed = 0;
    while fed < 3 {
        let message = manager.next_of_any_kind().expect("a message in time");
        fed += usize::from(message == "WATCHDOG=1\n");
    }
    // Its looks at itself are no device's requests, connections or refusals.
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("requests_total", &[]), 0);
    assert_eq!(metrics.sum("refusals_total", &[]), 0);
    assert_eq!(daemon.seen(" access: ").count(), 0);
    daemon.signal("STOP");
    manager
        .0
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    // What was on its way when it stopped; then nothing for more than two deadlines.
    let late = std::iter::from_fn(|| manager.next_of_any_kind())
        .take(3)
        .count();
    assert!(late < 3);
    daemon.signal("CONT");
    manager
        .0
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(manager.next_of_any_kind().as_deref(), Some("WATCHDOG=1\n"));
}

/// A flood, an allow list or a balancer's address must not make systemd kill a healthy daemon.
#[test]
fn the_watchdog_is_fed_whatever_is_refused_to_others() {
    for (section, lines) in [
        ("[limits]", "connections = 1"),
        ("[limits]", "connections_per_address = 1"),
        ("[access]", "allow = [\"10.0.0.0/8\"]"),
        ("[access]", "proxy_protocol_from = [\"127.0.0.0/8\"]"),
    ] {
        let installation = Installation::new(standard()).with_admin();
        installation.set(section, lines);
        let manager = Notified::new(&installation);
        let mut daemon = start_watched(&installation, "300000");
        let _held = connect(daemon.http);
        for _ in 0..5 {
            let message = std::iter::from_fn(|| manager.next_of_any_kind())
                .find(|message| message == "WATCHDOG=1\n");
            assert!(message.is_some(), "{lines}");
        }
        // At most the connection that this test holds is refused, none of the watchdog's.
        assert!(daemon.metrics().sum("refusals_total", &[]) <= 1, "{lines}");
        daemon.terminate();
        let (code, log) = daemon.finish();
        assert_eq!(code, Some(0));
        assert!(!log.contains("ERROR"), "{log}");
    }
}

#[test]
fn a_request_whose_head_is_still_arriving_is_answered_before_the_end() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    // A first answer on each connection: the daemon has accepted it.
    let mut streams: Vec<_> = (0..2).map(|_| connect(daemon.http)).collect();
    for stream in &mut streams {
        write!(stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(stream).status(), 404);
        write!(stream, "GET {ANNOUNCEMENT} HTTP/1.1\r\nHo").unwrap();
    }
    daemon.terminate();
    daemon.wait_for("draining for at most 20 s");
    for mut stream in streams {
        let _ = stream.write_all(b"st: a\r\n\r\n");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        // Either it was in time, and is whole; or the connection counted as idle.
        if !said.is_empty() {
            assert_eq!(Response::parse(&said).status(), 200);
        }
    }
    assert_eq!(daemon.finish().0, Some(0));
}

#[test]
fn an_idle_kept_alive_connection_is_closed_cleanly_at_once() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    let mut stream = connect(daemon.http);
    write!(stream, "GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).status(), 200);
    daemon.wait_for(" access: ");
    let started = Instant::now();
    daemon.terminate();
    daemon.wait_for("draining for at most 20 s");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert_eq!(daemon.finish().0, Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn what_is_left_after_the_drain_is_cut_off_and_the_end_is_a_success() {
    let installation = Installation::new(standard());
    installation.set("[limits]", "drain_seconds = 1");
    let mut daemon = Daemon::start(&installation);
    let mut stream = connect(daemon.https);
    stream.write_all(b"\x16\x03").unwrap();
    daemon.terminate();
    daemon.wait_for("draining for at most 1 s");
    let started = Instant::now();
    let (code, log) = daemon.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(started.elapsed() < Duration::from_secs(10));
}
