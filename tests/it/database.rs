//! Call-ins in a database: `[devices] database_url`, on SQLite and PostgreSQL.

use std::time::{Duration, Instant};

use crate::harness::{Daemon, Host, get, program, run};

#[path = "../../crates/engage-store/src/conformance/postgres.rs"]
pub(crate) mod postgres;

use postgres::{PostgresServer, postgres};

const SQLITE: &str = "database_url = \"sqlite:Engage_Data/engage-host.db\"\njson_files = false\n";

const AUDIT: &str = "/swordfish/lock/audit?sn=0123456789ABCDEF";

const DEVICE: &str = "0123456789ABCDEF";

fn body(code: u32) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{code:08X}","time":"20261123021259"}}]}}"#)
}

/// What a command prints about the host, which may run.
fn devices(host: &Host, args: &[&str]) -> String {
    let config = host.installation.path("config.toml");
    let mut command = program();
    command
        .arg("devices")
        .args(args)
        .arg("--config")
        .arg(config);
    let finished = run(&mut command);
    assert!(finished.code == Some(0), "{args:?}: {finished:?}");
    finished.stdout_text()
}

fn codes(host: &Host) -> Vec<String> {
    let lines = devices(host, &["audits", DEVICE, "--json"]);
    let code = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["code"].as_str().unwrap().to_owned()
    };
    lines.lines().map(code).collect()
}

fn what_is_acknowledged_is_read_by_the_commands_and_survives_a_kill(database: &str) {
    let mut host = Host::start(database);
    assert_eq!(host.call("POST", AUDIT, body(1)).status(), 201);
    assert_eq!(host.call("POST", AUDIT, body(1)).status(), 202);
    let config = format!("/swordfish/lock/Config?sn={DEVICE}");
    let upload = r#"{"lckPrmtrs":{"mdl":"NDE80"},"psswd":"hunter2"}"#;
    assert_eq!(host.call("PUT", &config, upload).status(), 200);
    assert_eq!(host.call("POST", AUDIT, "nonsense").status(), 400);
    assert_eq!(codes(&host), ["00000001"]);
    assert!(devices(&host, &[]).contains("NDE80"));
    let shown = devices(&host, &["show", DEVICE]);
    assert!(
        shown.contains("NDE80") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(host.readiness().status(), 200);
    host = host.restart();
    assert_eq!(host.call("POST", AUDIT, body(1)).status(), 202);
    assert_eq!(host.call("POST", AUDIT, body(2)).status(), 202);
    assert_eq!(codes(&host), ["00000001", "00000002"]);
    assert!(host.installation.check(&[]).code == Some(0));
    let warnings = host.installation.warning_codes();
    assert!(
        !warnings.contains(&"stray-device-folder".to_owned()),
        "{warnings:?}"
    );
    drop(host.daemon);
    // Nothing but the database is written.
    assert!(!host.installation.path("Engage_Data").join(DEVICE).exists());
}

#[test]
fn sqlite_keeps_what_is_acknowledged() {
    what_is_acknowledged_is_read_by_the_commands_and_survives_a_kill(SQLITE);
}

#[test]
fn postgresql_keeps_what_is_acknowledged() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let line = format!("database_url = \"{}\"\n", database.url());
    what_is_acknowledged_is_read_by_the_commands_and_survives_a_kill(&line);
}

#[test]
fn a_database_that_is_dropped_for_a_device_is_taken_into_the_store() {
    let host = Host::start(SQLITE);
    let asked = format!("/swordfish/lock/db/0?sn={DEVICE}");
    assert!(
        !String::from_utf8(host.call("GET", &asked, "").body)
            .unwrap()
            .contains("\"db\"")
    );
    let folder = host.path(DEVICE);
    fs_err::create_dir_all(&folder).unwrap();
    let good = r#"{"db":{"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]}}"#;
    fs_err::write(folder.join("db.json"), good).unwrap();
    let sent = String::from_utf8(host.call("GET", &asked, "").body).unwrap();
    assert!(sent.contains(r#""lngth":1439"#), "{sent}");
    fs_err::write(folder.join("db.json"), r#"{"db":{"schedules":[]}}"#).unwrap();
    let host = host.restart();
    assert_eq!(
        String::from_utf8(host.call("GET", &asked, "").body).unwrap(),
        sent
    );
}

#[test]
fn a_second_daemon_on_the_same_file_is_refused_and_told_who_has_it() {
    let host = Host::start(SQLITE);
    let refused = host.installation.serve_refused();
    let errors = refused.errors();
    assert!(
        errors.contains(&format!("process {}", host.daemon.id())),
        "{errors}"
    );
}

#[test]
fn a_second_daemon_that_names_the_file_of_the_first_is_refused() {
    let host = Host::start("");
    let url = format!("sqlite:{}", host.path("engage-host.db").display());
    let second = Host::installation(&format!("database_url = \"{url}\"\n"));
    let refused = second.serve_refused();
    let errors = refused.errors();
    let holder = format!("in use by process {}", host.daemon.id());
    assert!(errors.contains(&holder), "{errors}");
    assert!(errors.contains("Engage_Data"), "{errors}");
}

#[test]
fn a_server_that_is_away_costs_call_ins_only_and_is_used_again_by_itself() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let database = server.create_database();
    let line = format!("database_url = \"{}\"\n", database.url());
    server.kill();
    let mut host = Host::start(&line);
    let announcement = "/swordfish/lock/certificates/current";
    assert_eq!(host.call("POST", AUDIT, body(1)).status(), 503);
    assert_eq!(get(host.daemon.http, announcement).status(), 200);
    assert_eq!(host.readiness().status(), 503);
    let checked = host.installation.check(&[]);
    assert!(checked.code == Some(1));
    let told = checked.stdout_text();
    assert!(told.contains("failed to open database"), "{told}");
    server.restart();
    let deadline = Instant::now() + Duration::from_mins(1);
    while host.call("POST", AUDIT, body(1)).status() == 503 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(codes(&host), ["00000001"]);
    assert_eq!(host.readiness().status(), 200);
    assert!(host.installation.check(&[]).code == Some(0));
}

#[test]
fn a_password_in_the_url_is_refused_and_shown_nowhere() {
    let url = "postgres://engage:hunter2/@db.example/engage";
    let installation = Host::installation(&format!("database_url = \"{url}\"\n"));
    for refused in [installation.check(&[]), installation.serve_refused()] {
        let (shown, errors) = (refused.stdout_text(), refused.errors());
        assert!(errors.contains("database_password_file"), "{errors}");
        assert!(!format!("{shown}{errors}").contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_by_check_and_serves_certificates_all_the_same() {
    let installation = Host::installation(SQLITE);
    let garbage = "no database ".repeat(1000);
    installation.write("Engage_Data/engage-host.db", &garbage);
    let checked = installation.check(&[]);
    let told = checked.stdout_text();
    assert!(told.contains("restore a backup"), "{told}");
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(host.call("POST", AUDIT, body(1)).status(), 503);
    let announcement = "/swordfish/lock/certificates/current";
    assert_eq!(get(host.daemon.http, announcement).status(), 200);
    let kept = fs_err::read_to_string(host.path("engage-host.db")).unwrap();
    assert_eq!(kept, garbage);
}
