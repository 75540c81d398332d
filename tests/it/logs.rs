//! What the log says, in which form.

use serde_json::Value;

use crate::harness::{Daemon, Installation, connect, get, standard, tls_get, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

fn logged(log: &str, requests: impl FnOnce(&mut Daemon)) -> String {
    logged_with(log, None, requests)
}

/// The whole log of a daemon that was asked, and then stopped.
fn logged_with(log: &str, rust_log: Option<&str>, requests: impl FnOnce(&mut Daemon)) -> String {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[log]", log);
    let mut daemon = Daemon::start_with(&installation, |command| {
        command.envs(rust_log.map(|filter| ("RUST_LOG", filter)));
    });
    requests(&mut daemon);
    daemon.terminate();
    let (code, log) = daemon.finish();
    assert_eq!(code, Some(0), "{log}");
    log
}

#[test]
fn json_is_one_object_a_line() {
    let log = logged("format = \"json\"", |daemon| {
        get(daemon.http, &format!("{ANNOUNCEMENT}?sn=ASNFZ4mrze8="));
        tls_get(daemon.https, &trusting(&standard().root.der), "/a\"b");
        drop(connect(daemon.https));
    });
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for event in &events {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "no {field} in {event}");
        }
    }
    let accesses: Vec<_> = events
        .iter()
        .filter(|event| event["target"] == "access")
        .collect();
    let [plain, tls] = accesses.as_slice() else {
        panic!("{accesses:?}");
    };
    assert_eq!(plain["message"], format!("GET {ANNOUNCEMENT} -> 200"));
    assert_eq!(plain["listener"], "http");
    assert_eq!(plain["device.serial"], "0123456789ABCDEF");
    assert_eq!(plain["status"], 200);
    assert!(plain["size_bytes"].as_u64().unwrap() > 100);
    assert!(plain["duration_us"].is_u64());
    assert!(plain["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(tls["listener"], "https");
    assert_eq!(tls["tls"], "1.3");
}

/// docs/LOGGING.md, requests.
#[test]
fn a_request_is_a_line_of_text_with_its_fields_in_order() {
    let log = logged("format = \"text\"", |daemon| {
        let device = format!("{ANNOUNCEMENT}?sn=ASNFZ4mrze8=");
        tls_get(daemon.https, &trusting(&standard().root.der), &device);
        get(daemon.http, &format!("/{}", "a".repeat(300)));
    });
    let lines: Vec<_> = log.lines().filter(|it| it.contains(" access: ")).collect();
    let [device, long] = lines.as_slice() else {
        panic!("{log}");
    };
    let (time, line) = device.split_once(' ').unwrap();
    time.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(
        without_numbers(line),
        format!(
            " INFO access: GET {ANNOUNCEMENT} -> # listener=https peer=#.#.#.#:# \
             device.serial=\"#ABCDEF\" tls=\"#.#\" status=# size_bytes=# duration_us=#"
        )
    );
    let shown = format!(
        " INFO access: GET /{}.. (301 bytes) -> 404",
        "a".repeat(255)
    );
    assert!(long.contains(&shown), "{long}");
}

/// With `#` for each number.
fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    for character in line.chars() {
        match character {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

#[test]
fn each_request_is_one_event() {
    let log = logged("format = \"text\"", |daemon| {
        for _ in 0..7 {
            get(daemon.http, ANNOUNCEMENT);
        }
        // What asks the admin listener is no device.
        daemon.metrics();
    });
    assert_eq!(log.matches(" access: ").count(), 7, "{log}");
}

/// HTTP lets a path carry any character beyond ASCII, raw.
#[test]
fn a_caller_cannot_forge_a_line() {
    let log = logged("format = \"text\"", |daemon| {
        get(daemon.http, "/a\u{2028}ERROR\u{a0}forged\u{9b}2J");
    });
    assert!(
        log.contains(r" access: GET /a\u{2028}ERROR\u{a0}forged\u{9b}2J -> 404 listener=http "),
        "{log}"
    );
}

#[test]
fn directives_leave_out_requests() {
    let log = logged("level = \"info,access=warn\"", |daemon| {
        get(daemon.http, ANNOUNCEMENT);
    });
    assert!(!log.contains(" access: "), "{log}");
    assert!(log.contains("received SIGTERM"), "{log}");
}

#[test]
fn rust_log_overrides_the_level() {
    let log = logged_with("level = \"debug\"", Some("engage_host=info"), |daemon| {
        get(daemon.http, ANNOUNCEMENT);
    });
    assert!(!log.contains(" access: "), "{log}");
    assert!(!log.contains("DEBUG"), "{log}");
    assert!(log.contains("INFO"), "{log}");
}

#[test]
fn a_level_that_is_none_is_refused() {
    for level in ["loud", "info,access=loud", "info,", ""] {
        let installation = Installation::new(standard());
        installation.set("[log]", &format!("level = \"{level}\""));
        let refused = installation.serve_refused();
        assert_eq!(refused.code, Some(1), "{level}");
        let stderr = refused.stderr_text();
        assert!(
            stderr.contains(&format!("`{level}` is no level; allowed:")),
            "{stderr}"
        );
    }
}

#[test]
fn a_format_that_is_none_is_refused() {
    let installation = Installation::new(standard());
    installation.set("[log]", "format = \"xml\"");
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr_text().contains("`json` or `text`"),
        "{}",
        refused.stderr_text()
    );
}

#[test]
fn the_start_is_told_as_scripts_read_it() {
    let log = logged("", |_| {});
    for message in [
        "listening on http://127.0.0.1:",
        "listening on https://127.0.0.1:",
        "listening on admin http://127.0.0.1:",
        "connections at a time",
        "received SIGTERM; draining for at most 20 s",
        "stopped",
    ] {
        assert!(log.contains(message), "no `{message}` in {log}");
    }
}

/// What a reload says is one line too, even where the configuration's parser says several.
#[test]
fn a_refused_configuration_is_one_line() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    installation.edit("[https]", "[htps]");
    daemon.hang_up();
    let line = daemon.wait_for("reload refused");
    assert!(
        line.contains("line 6, column 2: 6 | [htps]: unknown field `htps`"),
        "{line}"
    );
    assert!(line.contains("hint: did you mean `https`?"), "{line}");
    assert!(line.contains("code=\"config-syntax\""), "{line}");
}
