//! The `devices` commands, over a directory as the daemon leaves it.

mod credential;
mod db_check;
mod installation;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use engage_store::{
    AuditBatch, BatchLimit, ConfigUpload, Cursor, DeviceId, DeviceStore, EventLog, SqlStore,
    Subscriber,
};
use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{audit_texts, program, run};

use installation::{CELLAR, Installation, LOBBY, RECEIVED_AT, call, now};

#[test]
fn the_table_shows_each_device_and_json_all_that_is_known_of_it() {
    let installation = Installation::after_a_night();
    assert_snapshot!("table", installation.shown(&[]));
    let json = installation.devices(&["--json"]);
    assert_eq!(json.code, Some(0), "{}", json.stderr_text());
    let devices: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(devices[0]["device"], LOBBY);
    assert_eq!(devices[0]["model"], "NDE80");
    assert_eq!(devices[1]["device"], CELLAR);
    assert_eq!(devices.as_array().unwrap().len(), 2);
}

#[test]
fn the_commands_work_while_another_process_owns_the_directory() {
    let installation = Installation::after_a_night();
    let _store = installation.store();
    for args in [vec![], vec!["show", LOBBY], vec!["audits"]] {
        let finished = installation.devices(&args);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
        assert!(finished.stdout_text().contains(LOBBY), "{args:?}");
    }
}

#[test]
fn show_takes_any_case_and_masks_secrets() {
    let installation = Installation::after_a_night();
    let shown = installation.shown(&["show", "0123456789abcdef"]);
    assert_snapshot!("show", shown);
    let json = installation.devices(&["show", LOBBY, "--json"]);
    let device: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(device["device"], LOBBY);
    assert_eq!(device["config"]["wifiStngs"]["psswd"], "***");
    assert_eq!(device["config"]["wifiStngs"]["ssid"], "doors");
    assert!(!shown.contains("hunter2") && !json.stdout_text().contains("hunter2"));
    let by_address = installation.shown(&["show", "10.44.0.7"]);
    assert!(
        by_address.contains("device addr-10.44.0.7\n"),
        "{by_address}"
    );
    assert!(by_address.contains("no upload yet"), "{by_address}");
}

#[test]
fn audits_are_a_table_json_lines_or_csv() {
    let installation = Installation::after_a_night();
    assert_snapshot!("audits", installation.shown(&["audits"]));
    assert_snapshot!(
        "audits_csv",
        installation.shown(&["audits", "--csv", LOBBY])
    );
    assert_snapshot!("alerts", installation.shown(&["audits", "--alerts"]));
    let stored = audit_texts(&installation.database(), LOBBY);
    let printed = installation.devices(&["audits", LOBBY, "--json"]);
    let device = format!("{{\"device\":\"{LOBBY}\",");
    let printed = printed.stdout_text().replace(&device, "{");
    assert_eq!(stored.len(), 3);
    assert_eq!(printed.lines().collect::<Vec<_>>(), stored);
}

#[test]
fn since_leaves_out_what_arrived_before() {
    let installation = Installation::after_a_night();
    let since = |since: &str| installation.devices(&["audits", "--json", "--since", since]);
    assert_eq!(since("2026-11-23").stdout_text().lines().count(), 4);
    let later = since("2026-11-23T02:13:06Z").stdout_text();
    assert_eq!(later.lines().count(), 1, "{later}");
    assert!(later.contains(CELLAR));
    let none = since("2090-01-01");
    assert_eq!(none.code, Some(0));
    assert_eq!(none.stdout_text(), "");
    assert!(
        none.stderr_text()
            .starts_with("note: no audits since 2090-01-01T00:00:00Z in ")
    );
    let refused = installation.devices(&["audits", "--since", "yesterday"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr_text().contains("`24h`"),
        "{}",
        refused.stderr_text()
    );
}

#[test]
fn what_is_no_event_is_named_and_the_others_are_shown() {
    const SPOIL: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute(\"UPDATE events SET body = 'nonsense' WHERE seq = 2\")";
    let installation = Installation::after_a_night();
    let mut python = Command::new("python3");
    python.args(["-c", SPOIL]).arg(installation.database());
    assert_eq!(run(&mut python).code, Some(0));
    assert_snapshot!("broken", installation.shown(&["audits", LOBBY]));
}

#[test]
fn rows_that_somebody_changed_are_named_and_the_others_are_shown() {
    const SPOIL: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute(\"UPDATE events SET body = x'00ff', kind = 'bogus' WHERE seq = 2\")
    database.execute(\"INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, \
        last_seen) VALUES ('bogus', 1, 9223372036854775807, 0, 0, 0)\")";
    let installation = Installation::after_a_night();
    let mut python = Command::new("python3");
    python.args(["-c", SPOIL]).arg(installation.database());
    assert_eq!(run(&mut python).code, Some(0));
    let exported = installation.0.path().join("exported");
    let export = ["export", exported.to_str().unwrap()];
    for (args, shown) in [(&[][..], CELLAR), (&["audits"], LOBBY), (&export, "")] {
        let told = installation.devices(args);
        assert_eq!(told.code, Some(1), "{args:?}");
        assert!(told.stdout_text().contains(shown), "{args:?}");
        let text = told.stderr_text();
        assert!(text.contains("warning: a row of device `bogus`"), "{text}");
        assert!(text.contains("hint: somebody changed them"), "{text}");
    }
    assert!(exported.join(CELLAR).exists());
}

#[test]
fn a_damaged_database_is_told_with_what_helps() {
    let installation = Installation::after_a_night();
    fs_err::write(installation.database(), "no database ".repeat(1000)).unwrap();
    for args in [
        &["audits"][..],
        &["audits", "--json"],
        &["undelivered"],
        &[],
        &["show", LOBBY],
    ] {
        let shown = installation.devices(args);
        assert_eq!(shown.code, Some(1), "{args:?}");
        let told = format!("{}{}", shown.stdout_text(), shown.stderr_text());
        assert!(told.contains("restore a backup"), "{args:?}: {told}");
    }
}

/// Gives up the first event of a device, as the webhook does.
fn set_first_aside(store: &SqlStore, device: DeviceId, reason: &str) {
    let lease = now(store.acquire(Subscriber::Webhook, device)).unwrap();
    let limit = BatchLimit {
        events: 1,
        bytes: 1,
    };
    let batch = now(store.next_batch(&lease, Cursor::default(), limit)).unwrap();
    now(store.set_aside(&lease, &batch, reason));
}

#[test]
fn events_that_were_set_aside_are_listed_with_the_reason() {
    let installation = Installation::after_a_night();
    assert_snapshot!("undelivered_none", installation.shown(&["undelivered"]));
    let store = installation.store();
    let lobby = LOBBY.parse().unwrap();
    let reason = "it answered 400 Bad Request, 8 times";
    set_first_aside(&store, lobby, reason);
    let listed = installation.devices(&["undelivered"]);
    assert_eq!(listed.code, Some(0));
    let line = listed.stdout_text().lines().last().unwrap().to_owned();
    assert!(
        line.contains(LOBBY) && line.contains("0B040001") && line.ends_with(reason),
        "{line}"
    );
    let json = installation
        .devices(&["undelivered", LOBBY, "--json"])
        .stdout_text();
    let event: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(event["device"], LOBBY);
    assert_eq!(event["log"], "audits");
    assert_eq!(event["event"]["line"], 1);
    assert_eq!(
        installation.devices(&["undelivered", CELLAR]).stdout_text(),
        ""
    );
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let installation = Installation::new();
    assert_snapshot!("absent_database", installation.shown(&[]));
    drop(installation.store());
    assert_snapshot!("empty_database", installation.shown(&[]));
    assert_eq!(installation.devices(&["--json"]).stdout_text(), "[]\n");
    assert_snapshot!("absent_device", installation.shown(&["show", LOBBY]));
    assert_snapshot!("no_device", installation.shown(&["show", "front-door"]));
    assert_snapshot!("switched_off", {
        installation.append("config.toml", "[devices]\ndirectory = \"\"\n");
        installation.shown(&["audits"])
    });
}

#[test]
fn follow_prints_what_a_second_process_adds_also_of_new_devices() {
    let installation = Installation::after_a_night();
    let mut follower = Follower::start(installation.0.path(), &["audits", "--follow", "--json"]);
    let before: Vec<_> = (0..4).map(|_| follower.line()).collect();
    assert!(
        before[0].contains(LOBBY) && before[3].contains(CELLAR),
        "{before:?}"
    );
    let store = installation.store();
    let (old, new) = (LOBBY, "FEDCBA9876543210");
    for (device, event) in [(old, "0B040002"), (new, "0B040003"), (old, "0B040004")] {
        let body = format!(r#"{{"asyncEvents":[{{"event":"{event}","time":1}}]}}"#);
        let batch = AuditBatch::parse(body.as_bytes()).unwrap();
        now(store.append_audits(
            &call(device, "10.44.0.7", &Timestamp::now().to_string()),
            batch,
        ));
        let line = follower.line();
        assert!(line.contains(device) && line.contains(event), "{line}");
    }
}

#[test]
fn csv_cannot_run_in_a_spreadsheet() {
    let installation = Installation::new();
    let store = installation.store();
    let body = br#"{"asyncEvents":[{"event":"=HYPERLINK(\"http://x\",\"y\")","time":"@now,\nthen"},
        {"event":-12,"time":"+1"}]}"#;
    let batch = AuditBatch::parse(body).unwrap();
    now(store.append_audits(&call(LOBBY, "10.44.0.6", RECEIVED_AT), batch));
    assert_snapshot!("csv_injection", installation.shown(&["audits", "--csv"]));
}

#[test]
fn devices_do_not_steer_the_terminal_in_any_form() {
    let installation = Installation::new();
    let store = installation.store();
    let lobby = call(LOBBY, "10.44.0.6", RECEIVED_AT);
    let device = lobby.device;
    let hostile = "\u{9b}31m\u{7f}\u{202e}\u{2028}\u{e0001}";
    let body = format!(
        r#"{{"asyncEvents":[{{"event":"\u001b[2Jgone","time":"a\nb\u009b","{hostile}":"{hostile}"}}]}}"#
    );
    let batch = AuditBatch::parse(body.as_bytes()).unwrap();
    now(store.append_audits(&lobby, batch));
    let upload = format!(r#"{{"modelNum":"{hostile}","{hostile}":{{"{hostile}":["{hostile}"]}}}}"#);
    let upload = ConfigUpload::parse(upload.as_bytes()).unwrap();
    now(store.save_config(&lobby, upload));
    set_first_aside(&store, device, hostile);
    installation.write(
        "db.json",
        format!(r#"{{"{hostile}":1,"db":{{"{hostile}":[1]}}}}"#),
    );
    for args in [
        &["audits"][..],
        &["audits", "--csv"],
        &["audits", "--json"],
        &["undelivered"],
        &["undelivered", "--json"],
        &[],
        &["--json"],
        &["show", LOBBY],
        &["show", LOBBY, "--json"],
        &["db", "check", "db.json"],
    ] {
        let finished = installation.devices(args);
        let text = format!("{}{}", finished.stdout_text(), finished.stderr_text());
        let moves = |it: char| it != '\n' && it.escape_debug().len() > 1 && !"\"'\\".contains(it);
        assert!(!text.contains(moves), "{args:?}: {text:?}");
    }
    let shown = |args: &[&str]| -> Value {
        serde_json::from_slice(&installation.devices(args).stdout).unwrap()
    };
    let printed = installation.devices(&["audits", "--json"]).stdout_text();
    let escaped = r"\u009b31m\u007f\u202e\u2028\udb40\udc01";
    assert!(
        printed.contains(&format!(r#""{escaped}":"{escaped}""#)),
        "{printed}"
    );
    assert_eq!(shown(&["undelivered", "--json"])["reason"], hostile);
    assert_eq!(
        shown(&["show", LOBBY, "--json"])["config"][hostile][hostile][0],
        hostile
    );
    let table = installation.devices(&["audits"]).stdout_text();
    assert!(table.contains(r"\u{1b}[2Jgone"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
}

/// A command that does not end by itself.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = program()
            .arg("devices")
            .args(args)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line, within a deadline.
    fn line(&mut self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
