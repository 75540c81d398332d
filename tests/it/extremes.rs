//! Numbers at and beyond the ends of what they may be: a message, and never a panic.

use crate::harness::{Daemon, Finished, Installation, get, program, run, standard};

/// Every number that `config.toml` may hold, with its section: another test sees to it that the
/// document has every key.
fn numbers() -> Vec<(&'static str, &'static str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in include_str!("../../docs/config.toml").lines() {
        let line = line.trim_start_matches("# ");
        if line.starts_with('[') {
            section = line.split_inclusive(']').next().unwrap();
        } else if let Some((key, value)) = line.split_once(" = ")
            && value.starts_with(|it: char| it.is_ascii_digit())
        {
            found.push((section, key));
        }
    }
    found
}

fn assert_no_panic(finished: &Finished, what: &str) {
    let said = finished.stdout_text() + &finished.stderr_text();
    assert!(matches!(finished.code, Some(0..=2)), "{what}: {said}");
    assert!(!said.contains("panicked"), "{what}: {said}");
    assert!(finished.code == Some(0) || said.contains("error"), "{what}");
}

#[test]
fn a_number_that_is_too_small_or_too_large_is_refused_by_its_name() {
    let numbers = numbers();
    assert!(numbers.len() > 10, "{numbers:?}");
    for (section, key) in numbers {
        let installation = Installation::new(standard());
        installation.set(section, &format!("{key} = 7"));
        let mut before = format!("{key} = 7");
        for (value, is_refused) in [
            ("-1", true),
            ("0", true),
            ("1", false),
            ("4294967295", false),
            ("4294967296", true),
            ("9223372036854775807", true),
            ("18446744073709551615", true),
            ("99999999999999999999999", true),
        ] {
            let line = format!("{key} = {value}");
            installation.edit(&before, &line);
            let checked = installation.check(&[]);
            assert_no_panic(&checked, &line);
            // Of a disk that is no large number; and a clock may be believed at once.
            let is_allowed = ["max_store_bytes = 4294967296", "steady_clock_minutes = 0"];
            if is_refused && !is_allowed.contains(&&*line) {
                let said = checked.stdout_text() + &checked.stderr_text();
                assert_eq!(checked.code, Some(1), "{line}: {said}");
                assert!(said.contains(key), "{line}: {said}");
            }
            before = line;
        }
    }
}

#[test]
fn the_longest_waits_and_the_largest_bounds_serve_and_stop() {
    let installation = Installation::new(standard());
    let limits = "tls_handshake_seconds = 4294967295\nrequest_head_seconds = 4294967295\n\
                  body_idle_seconds = 4294967295\nbody_total_seconds = 4294967295\n\
                  keep_alive_idle_seconds = 4294967295\nstalled_write_seconds = 4294967295\n\
                  request_head_bytes = 1048576\nrequest_headers = 1024\nbody_bytes = 67108864\n\
                  body_memory_bytes = 1073741824\nconnections = 4294967295\n\
                  connections_per_address = 4294967295\ndrain_seconds = 4294967295";
    installation.set("[limits]", limits);
    installation.set("[devices]", "keep_audits_days = 36500");
    let daemon = Daemon::start(&installation);
    let announcement = get(daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);
    daemon.terminate();
    let (code, log) = daemon.finish();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn arguments_beyond_what_a_clock_or_a_port_can_be_are_refused() {
    let installation = Installation::new(standard());
    let host = ["init", "--host", "127.0.0.1", "--days"];
    let audits = ["devices", "audits", "--since"];
    for (command, values) in [
        (&host[..], &["0", "-1", "4294967295", "4294967296"][..]),
        (
            &audits[..],
            &["99999999999d", "18446744073709551615s", "-1d"],
        ),
        (
            &audits[..],
            &["19998y", "7304484d", "9999-12-31", "P9999999999Y"],
        ),
        (
            &["doctor"],
            &["http://127.0.0.1:0", "http://127.0.0.1:65536"],
        ),
        (&["check", "--http"], &["127.0.0.1:65536", "[::1", ":0"]),
    ] {
        for value in values {
            let mut program = program();
            let finished = run(program
                .args(command)
                .arg(value)
                .current_dir(installation.folder()));
            let what = format!("{command:?} {value}");
            assert_no_panic(&finished, &what);
        }
    }
}
