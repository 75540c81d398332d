//! Steps that are not taken.

use std::time::{Duration, Instant};

use super::fixture::{Rotating, shows};
use crate::harness::{program, run, standard};

#[track_caller]
fn refused(host: &Rotating, step: &str, args: &[&str], code: &str) -> String {
    let finished = host.run(step, &[args, &["--json"]].concat());
    assert_eq!(finished.code, Some(1), "{step}: {finished:?}");
    let text = finished.stdout_text();
    assert!(text.contains(&format!(r#""code":"{code}""#)), "{text}");
    text
}

#[test]
fn a_step_out_of_order_is_refused_and_changes_nothing() {
    let host = Rotating::start();
    for step in ["publish", "activate", "retire", "undo"] {
        refused(&host, step, &[], "no-rotation");
    }
    host.rotate("prepare", &[]);
    for step in ["activate", "retire"] {
        refused(&host, step, &[], "wrong-step");
    }
    host.rotate("publish", &[]);
    refused(&host, "retire", &[], "wrong-step");
    let text = refused(&host, "prepare", &[], "wrong-step");
    shows(&text, &["`prepare` follows the end of a rotation"]);
    assert_eq!(host.status()["rotation"]["step"], "published");
}

#[test]
fn where_no_device_is_known_a_step_that_could_lock_them_out_needs_force() {
    let host = Rotating::start();
    host.rotate("prepare", &[]);
    host.rotate("publish", &[]);
    refused(&host, "activate", &["--threshold", "0"], "no-devices");
    assert_eq!(host.status()["rotation"]["step"], "published");
    host.rotate("activate", &["--force"]);
    refused(&host, "retire", &[], "no-devices");
    assert_eq!(host.status()["rotation"]["step"], "activated");
}

#[test]
fn files_that_were_made_otherwise_are_not_taken_for_what_is_asked() {
    let host = Rotating::start();
    let keys = tempfile::tempdir().unwrap();
    let folder = keys.path().to_str().unwrap();
    let text = refused(&host, "undo", &[], "no-rotation");
    assert!(!text.contains("that folder"), "{text}");
    host.rotate("prepare", &["--overlap", "select"]);
    let is_refused = || {
        let text = refused(&host, "prepare", &["--overlap", "cross"], "other-overlap");
        shows(&text, &["were made for overlap `select`, not `cross`"]);
        let text = refused(
            &host,
            "prepare",
            &["--root-key-out", folder],
            "other-root-key",
        );
        shows(&text, &["it is `", "pki/next/root.key"]);
    };
    is_refused();
    let again = ["--overlap", "select"];
    shows(&host.rotate("prepare", &again), &["prepared before"]);
    // As before the row was written.
    host.forget_row();
    is_refused();
    assert_eq!(host.status()["rotation"], serde_json::Value::Null);
    shows(&host.rotate("prepare", &again), &["took up the new files"]);

    host.rotate("undo", &[]);
    for said in ["the new files are in", "prepared before"] {
        shows(
            &host.rotate("prepare", &["--root-key-out", folder]),
            &[said],
        );
    }
}

#[test]
fn a_folder_that_is_no_whole_set_of_new_files_is_to_be_moved_away() {
    let host = Rotating::start();
    let next = host.installation.path("pki/next");
    fs_err::create_dir(&next).unwrap();
    let text = refused(&host, "prepare", &[], "broken-next");
    shows(&text, &["root.crt", "move it away"]);
    fs_err::remove_dir(&next).unwrap();
    fs_err::os::unix::fs::symlink("nowhere", &next).unwrap();
    let text = refused(&host, "prepare", &[], "broken-next");
    shows(&text, &["a link that leads nowhere", "move it away"]);
    fs_err::remove_file(&next).unwrap();

    host.rotate("prepare", &[]);
    fs_err::remove_dir_all(next.join("anchors")).unwrap();
    refused(&host, "prepare", &[], "missing-anchor");
    host.forget_row();
    refused(&host, "prepare", &[], "missing-anchor");
}

#[test]
fn a_host_that_only_needs_seconds_is_waited_for() {
    let host = Rotating::start();
    host.rotate("prepare", &[]);
    host.rotate("publish", &[]);
    host.daemon.signal("STOP");
    // Without its socket: it is not asked, and looks itself later.
    let at_once = |step| {
        let config = host.installation.path("config.toml");
        let mut command = program();
        command.args(["rotate", step, "--force", "--wait", "0", "--config"]);
        run(command.arg(config))
    };
    let activated = at_once("activate").stdout_text();
    shows(&activated, &["has not followed yet"]);
    let text = at_once("retire").stderr_text();
    shows(&text, &["not every host has followed yet", "`--wait`"]);
    // Nor is its answer waited for any longer where there is a socket.
    let begun = Instant::now();
    let finished = host.run("retire", &["--force", "--wait", "1"]);
    let text = finished.stderr_text();
    shows(
        &text,
        &[
            "not every host has followed yet",
            "; it said so at 2",
            "a host that has said nothing for longer hangs",
        ],
    );
    assert!(begun.elapsed() < Duration::from_secs(40));
    host.daemon.signal("CONT");
    host.rotate("retire", &["--force"]);
}

#[test]
fn a_chain_that_a_lock_would_refuse_is_not_prepared_and_leaves_nothing() {
    let host = Rotating::start();
    let mut given = host.given();
    // The old chain's key.
    given[5] = host
        .installation
        .path("pki/partner_server.key")
        .display()
        .to_string();
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    refused(&host, "prepare", &given, "foreign-key");
    refused(&host, "prepare", &["--overlap", "cross"], "root-key-away");
    assert!(!host.installation.path("pki/next").exists());
    assert_eq!(host.status()["rotation"], serde_json::Value::Null);
    assert!(host.accepts(&standard().root.der));
}

#[test]
fn a_host_that_has_not_the_new_files_keeps_them_from_being_published() {
    let host = Rotating::start();
    host.rotate("prepare", &[]);
    let (next, away) = (
        host.installation.path("pki/next"),
        host.installation.path("pki/away"),
    );
    fs_err::rename(&next, &away).unwrap();
    let text = host.run("publish", &["--wait", "1"]);
    assert_eq!(text.code, Some(1), "{text:?}");
    let checked = host.installation.check(&[]);
    assert_eq!(checked.code, Some(1));
    shows(
        &checked.stdout_text(),
        &["is prepared: `engage-host rotate status`", "pki/next"],
    );
    let status = host.run("status", &[]);
    assert_eq!(status.code, Some(1));
    shows(&status.stdout_text(), &["problem on this host: "]);
    fs_err::rename(&away, &next).unwrap();
    host.rotate("publish", &[]);
    assert_eq!(host.installation.check(&[]).code, Some(0));
}
