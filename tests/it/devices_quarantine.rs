//! `devices quarantine`: bodies that were refused, as they arrived.

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::{Finished, Host, program, run};

const DEVICE: &str = "0123456789ABCDEF";
const FIRST: &[u8] = b"\xff\x00\x1b[2Jno JSON\r\n";
const SECOND: &[u8] = b"[\"neither\"";

fn quarantine(host: &Host, args: &[&str]) -> Finished {
    run(program()
        .args(["devices", "quarantine"])
        .args(args)
        .arg("--config")
        .arg(host.installation.path("config.toml")))
}

fn host_with_two_refused_bodies() -> Host {
    let host = Host::start("");
    for (path, body) in [("audit", FIRST), ("alert", SECOND)] {
        let target = format!("/swordfish/lock/{path}?sn={DEVICE}");
        assert_eq!(host.call("POST", &target, body).status(), 400);
    }
    host
}

fn listed(host: &Host) -> Vec<Value> {
    let json = quarantine(host, &["--json"]).stdout;
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn a_refused_body_is_listed_and_written_byte_for_byte() {
    let host = host_with_two_refused_bodies();
    let bodies = listed(&host);
    let time = |at: usize| bodies[at]["received_at"].as_str().unwrap();
    let table = quarantine(&host, &[]).stdout_text();
    let table = table
        .replace(time(0), "2026-11-23T02:13:05.123456Z")
        .replace(time(1), "2026-11-23T02:13:06.123456Z");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = table.lines().map(words).collect();
    assert_eq!(
        lines,
        [
            "RECEIVED DEVICE CALL BYTES",
            "2026-11-23T02:13:05.123456Z 0123456789ABCDEF audit 15",
            "2026-11-23T02:13:06.123456Z 0123456789ABCDEF alert 10",
        ]
    );
    assert_eq!(bodies[0]["device"], DEVICE);
    assert_eq!(bodies[0]["kind"], "audit");
    assert_eq!(bodies[0]["size_bytes"], FIRST.len());
    // Also after a kill, and in any spelling.
    let host = host.restart();
    let newest = quarantine(&host, &["show", &DEVICE.to_lowercase()]);
    assert_eq!(newest.stdout, SECOND, "{newest:?}");
    for (at, body) in [FIRST, SECOND].into_iter().enumerate() {
        let shown = quarantine(&host, &["show", DEVICE, time(at)]);
        assert_eq!(shown.stdout, body, "{shown:?}");
        assert_eq!(shown.code, Some(0));
    }
}

#[test]
fn a_body_that_is_not_there_is_told_from_an_empty_quarantine() {
    let host = Host::start("");
    let empty = quarantine(&host, &[]);
    assert_eq!(
        (empty.code, empty.stdout_text(), empty.stderr_text()),
        (
            Some(0),
            String::new(),
            "note: no body is in quarantine\n".into()
        )
    );
    let json = quarantine(&host, &["--json"]);
    assert_eq!(json.stdout_text(), "[]\n");
    let shown = |args: &[&str]| {
        let finished = quarantine(&host, args);
        assert_eq!((finished.code, &finished.stdout[..]), (Some(1), &b""[..]));
        finished.stderr_text()
    };
    assert_snapshot!("no_body", shown(&["show", DEVICE]));
    assert_snapshot!(
        "no_body_of_time",
        shown(&["show", "10.44.0.7", "2026-11-23T02:13:05Z"])
    );
}
