//! What a body may become: rows, memory and a share of the disk, for honest locks and for others.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::callers::{behind_balancer, passed_on};
use super::{AUDIT, CONFIG, DEVICE, of_device};
use crate::harness::{Daemon, Host, Response, get, read_answer, request, run};

/// Events that no other `first` has: numbers from it on.
fn batch(first: usize, events: usize) -> String {
    let event = |number| format!(r#"{{"event":"{number:08X}","time":"20261123021259"}}"#);
    let events: Vec<_> = (first..first + events).map(event).collect();
    format!(r#"{{"asyncEvents":[{}]}}"#, events.join(","))
}

fn codes(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{number:08X}")).collect()
}

/// Bodies of a mebibyte at most that would become much more, and what is said of each: as many as are
/// logged of one address.
fn hostile_bodies() -> Vec<(String, &'static str)> {
    let many = |text: &str| text.repeat(1_000_000 / text.len());
    let zeros = format!("[{}0]", many("0,"));
    vec![
        (format!(r#"{{"asyncEvents":{zeros}}}"#), "JSON values"),
        (format!(r#"{{"x" "y":{zeros}}}"#), "JSON values"),
        (format!(r#""{{\"asyncEvents\":{zeros}}}""#), "JSON values"),
        (
            format!(r#"{{"asyncEvents":[{{{}}}]}}"#, many(r#""":0,"#)),
            "JSON values",
        ),
        (many("{}"), "JSON values"),
        (r#"{"event":1}"#.repeat(12_000), "events; allowed: 10000"),
        (batch(0, 10_001), "holds 10001 events; allowed: 10000"),
        (
            format!(r#"{{"asyncEvents":[{}]}}"#, r#"{"event":1},"#.repeat(9999)),
            "bytes in the store; allowed for its length",
        ),
        (
            format!(
                r#"{{"x":"{}","asyncEvents":[{}]}}"#,
                "x".repeat(900_000),
                "0,".repeat(40_000)
            ),
            "holds 40000 events",
        ),
        (
            format!(r#"{{"event":"{}"}}"#, many("\u{1}")),
            "bytes; allowed: 1048576",
        ),
    ]
}

#[test]
fn bodies_that_would_become_much_more_are_refused_and_kept_at_little_cost() {
    let mut host = Host::start("json_files = false");
    assert_eq!(post(&host, DEVICE, batch(0, 1)).status(), 201);
    let mut received = 0;
    for (number, (body, reason)) in hostile_bodies().into_iter().enumerate() {
        forget_peak_memory(&host);
        let before = memory_kib(&host, "VmRSS:");
        let device = format!("{number:016X}");
        assert_eq!(post(&host, &device, &body).status(), 400, "{reason}");
        let line = host.daemon.wait_for(&format!("of device {device} refused"));
        assert!(line.contains(reason), "{reason}: {line}");
        let grown = memory_kib(&host, "VmHWM:").saturating_sub(before) * 1024;
        let allowed = 12 * 1024 * 1024;
        assert!(
            grown < allowed,
            "{reason}: {grown} bytes of memory for {}",
            body.len()
        );
        received += body.len() as u64;
    }
    assert_eq!(
        host.installation.quarantined().len(),
        hostile_bodies().len()
    );
    assert_eq!(host.codes(DEVICE), codes(0..1));
    let files = ["engage-host.db", "engage-host.db-wal"];
    let stored: u64 = files.iter().map(|it| length(&host.path(it))).sum();
    // Each is in the log and in the file.
    assert!(
        stored < 2 * received + 2 * 1024 * 1024,
        "{stored} of {received}"
    );
}

fn post(host: &Host, device: &str, body: impl AsRef<[u8]>) -> Response {
    host.call("POST", &format!("{AUDIT}?sn={device}"), body)
}

fn length(file: &Path) -> u64 {
    fs_err::metadata(file).map_or(0, |it| it.len())
}

fn forget_peak_memory(host: &Host) {
    fs_err::write(format!("/proc/{}/clear_refs", host.daemon.id()), "5").unwrap();
}

fn memory_kib(host: &Host, name: &str) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", host.daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap()
}

/// After weeks offline, and three times over because the acknowledgement was not heard.
#[test]
fn a_lock_delivers_its_whole_memory_however_often_it_has_to() {
    let host = Host::start("json_files = false");
    for (events, status) in [(3000, 201), (3001, 202), (3000, 202), (3002, 202)] {
        assert_eq!(
            post(&host, DEVICE, batch(0, events)).status(),
            status,
            "{events}"
        );
    }
    assert_eq!(host.codes(DEVICE), codes(0..3002));
    assert_eq!(
        post(&host, "FF00000000000001", batch(0, 10_000)).status(),
        201
    );
    assert_eq!(host.codes("FF00000000000001"), codes(0..10_000));
}

#[test]
fn a_device_brings_so_much_a_day_and_what_is_stored_already_does_not_count() {
    let installation = Host::installation("");
    installation.set("[limits]", "device_day_bytes = 65536");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    // Some 22,000 bytes each.
    for (first, status, times) in [(0, 201, 10), (50, 202, 10), (100, 202, 1)] {
        for _ in 0..times {
            let answer = post(&host, DEVICE, batch(first, 50));
            assert!([status, 202].contains(&answer.status()), "{answer:?}");
        }
    }
    for (method, place, body) in [
        ("POST", AUDIT, batch(150, 1)),
        ("POST", AUDIT, batch(150, 1) + &" ".repeat(900_000)),
        ("POST", AUDIT, "cannot be read".to_owned()),
        ("PUT", CONFIG, "{}".to_owned()),
    ] {
        let answer = host.call(method, &of_device(place), body);
        assert_eq!(answer.status(), 503, "{place}");
        assert_eq!(answer.body, br#"{"error":"too much within a day"}"#);
        assert_eq!(answer.header("Retry-After"), Some("3600"));
    }
    assert_eq!(host.codes(DEVICE), codes(0..150));
    assert_eq!(host.installation.quarantined(), []);
    let line = host.daemon.wait_for("bytes to be stored within a day");
    assert!(
        line.contains(&format!("device {DEVICE} has brought")),
        "{line}"
    );
    assert!(
        line.contains("`[limits] device_day_bytes`: 65536"),
        "{line}"
    );
    let labels = [("limit", "device_day_bytes")];
    host.daemon.wait_for_metric("refusals_total", &labels, 4);
    assert_eq!(post(&host, "00000000000000FF", batch(0, 1)).status(), 201);
    assert_eq!(host.readiness().status(), 200);
}

#[test]
fn strangers_of_one_network_bring_so_much_a_day_and_others_as_much_as_ever() {
    let mut host = behind_balancer("", "device_day_bytes = 65536");
    let deliver = |peer: &str, number: u64| {
        let target = format!("{AUDIT}?sn={number:016X}");
        // Nearly what one device may bring.
        let call = request("POST", &target, "", batch(0, 140).as_bytes());
        let mut stream = passed_on(&host, peer);
        stream.write_all(&call).unwrap();
        read_answer(&mut stream).status()
    };
    for number in 0..9 {
        assert_eq!(deliver("10.66.0.1", number), 201, "{number}");
    }
    assert_eq!(deliver("10.66.0.1", 9), 503);
    assert_eq!(deliver("10.66.0.2", 9), 201);
    let line = host.daemon.wait_for("bytes to be stored within a day");
    assert!(line.contains("network 10.66.0.1 has brought"), "{line}");
    assert!(line.contains(": 524288"), "{line}");
}

/// With a store of 16 MiB, and these devices listed.
fn small_store(listed: impl IntoIterator<Item = String>) -> Host {
    let installation = Host::installation("max_store_bytes = 16777216\njson_files = false");
    let listed: Vec<_> = listed.into_iter().collect();
    installation.edit("[[site]]", &format!("[[site]]\nserials = {listed:?}"));
    installation.set_base_url("http://10.44.68.128");
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

/// One event of nearly a mebibyte.
fn long(number: usize) -> String {
    let event = format!("{number:08X}{}", "x".repeat(1_040_000));
    format!(r#"{{"event":"{event}","time":""}}"#)
}

#[test]
fn a_store_that_takes_its_share_of_the_disk_takes_more_when_there_is_room() {
    const MAKE_ROOM: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute('DELETE FROM events WHERE seq > 1')";
    let devices = (0..8).map(|number| format!("{number:016X}"));
    let mut host = small_store(devices.chain([DEVICE.to_owned()]));
    let stored = (0..500).take_while(|number| {
        let answer = post(&host, &format!("{:016X}", number % 8), long(*number));
        let is_refused = answer.status() == 503;
        assert!(
            is_refused || [201, 202].contains(&answer.status()),
            "{answer:?}"
        );
        assert!(!is_refused || answer.body == br#"{"error":"storage unavailable"}"#);
        !is_refused
    });
    let stored = stored.count();
    assert!((5..500).contains(&stored), "{stored}");
    let refused = [
        post(&host, DEVICE, batch(0, 1)),
        post(&host, DEVICE, "cannot be read"),
        host.call("PUT", &of_device(CONFIG), "{}"),
    ];
    assert!(
        refused.iter().all(|answer| answer.status() == 503),
        "{refused:?}"
    );
    let line = host.daemon.wait_for("the device store is full");
    assert!(
        line.contains("hint: raise `[devices] max_store_bytes`"),
        "{line}"
    );
    let labels = [("limit", "max_store_bytes")];
    host.daemon.wait_for_metric("refusals_total", &labels, 4);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let reason = String::from_utf8(readiness.body).unwrap();
    assert!(
        reason.contains("not ready: call-ins cannot be stored: database"),
        "{reason}"
    );
    assert!(
        reason.contains("allowed: 16777216; hint: raise"),
        "{reason}"
    );
    for target in ["/swordfish/lock/certificates/current", super::NO_DATABASE] {
        assert_eq!(get(host.daemon.http, target).status(), 200, "{target}");
    }
    let mut python = Command::new("python3");
    python
        .args(["-c", MAKE_ROOM])
        .arg(host.path("engage-host.db"));
    assert_eq!(run(&mut python).code, Some(0));
    host.daemon.wait_for("the device store has room again");
    assert_eq!(host.readiness().status(), 200);
    assert_eq!(post(&host, DEVICE, batch(0, 1)).status(), 201);
}

#[test]
fn the_last_tenth_of_the_store_is_for_registered_devices_and_readiness_warns_of_it() {
    const STRANGER: &str = "00000000000000AA";
    let mut host = small_store([DEVICE.to_owned()]);
    for number in 0..15 {
        let stored = post(&host, STRANGER, long(number)).status();
        assert!([201, 202].contains(&stored), "{stored}");
    }
    let nearly_full = 16_777_216 - 1_677_721;
    host.daemon
        .wait_for_metric("store_size_bytes", &[], nearly_full);
    let limit = host.daemon.metrics().sum("store_limit_bytes", &[]);
    assert_eq!(limit, 16_777_216);
    assert_eq!(post(&host, STRANGER, batch(0, 1)).status(), 503);
    assert_eq!(post(&host, DEVICE, batch(0, 1)).status(), 201);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 200);
    let warning = String::from_utf8(readiness.body).unwrap();
    let allowed =
        format!("allowed: {nearly_full} for devices that are not registered; hint: raise");
    assert!(warning.contains("warning: database"), "{warning}");
    assert!(warning.contains(&allowed), "{warning}");
    let line = host.daemon.wait_for("the device store is nearly full");
    assert!(line.contains(&allowed), "{line}");

    // Where none is registered, nothing can be stored.
    let serials = format!("serials = [\"{DEVICE}\"]");
    host.installation.edit(&serials, "serials = []");
    host.daemon.wait_for("reloaded: new connections");
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let reason = String::from_utf8(readiness.body).unwrap();
    assert!(
        reason.contains("not ready: call-ins cannot be stored: the last tenth"),
        "{reason}"
    );
    assert!(reason.contains(&allowed), "{reason}");
}
