//! `devices db set` and `devices db show`: databases without files in the devices' folders.

use insta::assert_snapshot;
use serde_json::Value;

use crate::database::postgres::postgres;
use crate::harness::{Daemon, Finished, Host, program, run};

const DEVICE: &str = "0123456789ABCDEF";
const DATABASE: &str = r#"{
    "db": {
        "usrRcrd": {"deleteAll": 1, "delete": [], "update": [], "add": [
            {"usrID": "148", "primeCr": "735B174C056D0A03D5DBD83EC513463C"}]},
        "schedules": [{"days": ["Su"], "strtHr": 0, "strtMn": 0, "lngth": 1439}]
    }
}"#;
const OTHER: &str = r#"{"db":{"schedules":[{"days":["Mo"],"strtHr":0,"strtMn":0,"lngth":60}]}}"#;

/// `devices db ..`, with `text` as `db.json` in the folder of the configuration.
fn db(host: &Host, text: &str, args: &[&str]) -> Finished {
    host.installation.write("db.json", text);
    run(program()
        .args(["devices", "db"])
        .args(args)
        .current_dir(host.installation.path("")))
}

fn set(host: &Host, device: &str, text: &str) -> String {
    let finished = db(host, text, &["set", device, "db.json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    let moment = jiff::Timestamp::now().to_string();
    let year = &moment[..3];
    // What depends on today.
    let line = |line: &str| match line.split_once(year) {
        Some((before, _)) => format!("{before}[moment]"),
        None => line.to_owned(),
    };
    let text = format!("{}{}", finished.stdout_text(), finished.stderr_text());
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn shown(host: &Host, device: &str) -> Value {
    let finished = db(host, "", &["show", device, "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
    serde_json::from_slice(&finished.stdout).unwrap()
}

/// What the device is answered.
fn asked(host: &Host, query: &str) -> String {
    let answer = host.call("GET", &format!("/swordfish/lock/db/0{query}"), "");
    assert_eq!(answer.status(), 200);
    String::from_utf8(answer.body).unwrap()
}

fn what_is_set_beside_the_daemon_is_sent_at_the_next_call(line: &str) {
    let host = Host::start(line);
    let query = format!("?sn={DEVICE}");
    let told = set(&host, &DEVICE.to_lowercase(), DATABASE);
    assert!(told.contains("next call   not known"), "{told}");
    let sent = asked(&host, &query);
    assert!(
        sent.starts_with(r#"{"db":{"usrRcrd":{"deleteAll":1,"#),
        "{sent}"
    );
    // A folder's file is newer, and what is set later is newer than that.
    host.installation
        .write(&format!("Engage_Data/{DEVICE}/db.json"), OTHER);
    assert!(asked(&host, &query).contains(r#""lngth":60"#));
    assert_eq!(shown(&host, DEVICE)["source"], "file");
    let told = set(&host, DEVICE, DATABASE);
    assert!(told.contains("note: the `db.json` of device"), "{told}");
    let host = host.restart();
    assert!(asked(&host, &query).starts_with(&sent[..sent.find("dbDwnLdTm").unwrap()]));
    // By its address, without a serial number.
    set(&host, "127.0.0.1", OTHER);
    assert!(asked(&host, "").contains(r#""lngth":60"#));
}

#[test]
fn what_is_set_in_sqlite_is_sent_at_the_next_call() {
    what_is_set_beside_the_daemon_is_sent_at_the_next_call("");
}

#[test]
fn what_is_set_in_postgresql_is_sent_at_the_next_call() {
    let Some(server) = postgres() else { return };
    let url = server.create_database().url();
    what_is_set_beside_the_daemon_is_sent_at_the_next_call(&format!("database_url = \"{url}\"\n"));
}

#[test]
fn set_says_what_is_sent_and_when_and_show_whether_it_was() {
    let host = Host::start("");
    let batch = r#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#;
    let audit = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &audit, batch).status(), 201);
    let query = format!("?sn={DEVICE}");
    asked(&host, &query);
    // Stopped, it has written what it saw.
    let host = stopped_and_started(host);
    assert_snapshot!("set", set(&host, DEVICE, DATABASE));
    let not_yet = shown(&host, DEVICE);
    assert_ne!(not_yet["answered"]["value"], not_yet["version"]);
    asked(&host, &query);
    let host = stopped_and_started(host);
    let answered = shown(&host, DEVICE);
    assert_eq!(answered["answered"]["value"], answered["version"]);
    let user = &answered["database"]["db"]["usrRcrd"]["add"][0];
    assert_eq!(
        (&user["primeCr"], &user["usrID"]),
        (&"***".into(), &"148".into())
    );
    let text = db(&host, "", &["show", DEVICE]).stdout_text();
    assert!(!text.contains("735B174C"), "{text}");
    assert!(text.contains("from        `devices db set`\n"), "{text}");
}

fn stopped_and_started(host: Host) -> Host {
    let Host {
        installation,
        daemon,
    } = host;
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

#[test]
fn what_would_not_be_sent_is_not_stored() {
    let host = Host::start("");
    set(&host, DEVICE, OTHER);
    let before = shown(&host, DEVICE);
    let refused = db(
        &host,
        r#"{"db":{"schedules":[]}}"#,
        &["set", DEVICE, "db.json"],
    );
    assert_eq!(refused.code, Some(1));
    assert_snapshot!("refused", refused.stderr_text());
    assert_eq!(shown(&host, DEVICE), before);
}

#[test]
fn show_tells_what_becomes_of_the_file_in_the_folder() {
    let host = Host::start("");
    let path = format!("Engage_Data/{DEVICE}/db.json");
    let told = |host: &Host| {
        let finished = db(host, "", &["show", DEVICE]);
        format!("{}{}", finished.stderr_text(), finished.stdout_text())
    };
    assert_snapshot!("nothing", told(&host));
    host.installation.write(&path, OTHER);
    assert!(told(&host).contains("is taken at the device's next call"));
    asked(&host, &format!("?sn={DEVICE}"));
    let taken = told(&host);
    assert!(taken.starts_with("device 0123456789ABCDEF\n"), "{taken}");
    assert!(taken.contains("from        `db.json`\n"), "{taken}");
    host.installation.write(&path, "{");
    assert!(told(&host).starts_with("warning: `"));
    fs_err::remove_file(host.installation.path(&path)).unwrap();
    assert!(told(&host).contains("which was removed: nothing is sent"));
    assert_eq!(shown(&host, DEVICE)["is_sent"], false);
}
