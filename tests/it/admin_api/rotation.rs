//! A change of the root, looked at and taken a step further.

use serde_json::Value;

use super::client::{Api, json, shown};
use super::{DEVICE, batch, host};
use crate::harness::{Host, get, program, run};

/// The path of what devices are told to fetch.
fn announced(host: &Host) -> String {
    let answer = get(host.daemon.http, "/swordfish/lock/certificates/current");
    let url = answer.json("cert_url");
    url[url.find("/static/").unwrap()..].to_owned()
}

/// A host with one device, on which a rotation is prepared.
fn prepared() -> (Host, Api) {
    let (host, api) = host("");
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &target, batch("0B040001")).status(), 201);
    let config = host.installation.path("config.toml");
    let mut command = program();
    let prepare = ["rotate", "prepare", "--wait", "0", "--json", "--config"];
    let prepared = run(command.args(prepare).arg(config));
    let report: Value = serde_json::from_slice(&prepared.stdout).unwrap();
    assert_eq!(report["step"], "prepared", "{report}");
    (host, api)
}

/// A step that is taken, and followed; what it says.
#[track_caller]
fn take(api: &Api, step: &str, body: &str) -> Value {
    let answer = api.ask("POST", &format!("/v1/rotation/{step}"), "", body);
    assert_eq!(answer.status(), 200, "{}", shown(&answer));
    let report = json(&answer);
    assert_eq!(report["ok"], true, "{report}");
    report
}

#[test]
fn without_a_rotation_there_is_no_step_to_take() {
    let (_host, api) = host("");
    let status = api.get("/v1/rotation");
    assert_eq!(status["rotation"], Value::Null, "{status}");
    assert!(
        status["next"].as_str().unwrap().contains("rotate prepare"),
        "{status}"
    );
    for step in ["publish", "activate", "undo"] {
        let path = format!("/v1/rotation/{step}");
        assert_eq!(api.refused(404, "POST", &path, "", "{}"), "no-rotation");
    }
    assert_eq!(
        api.refused(400, "POST", "/v1/rotation/retire", "", "{}"),
        "malformed-path"
    );
}

const FORCE: &str = r#"{"force":true}"#;

#[test]
fn steps_are_taken_followed_and_recorded_and_none_that_locks_devices_out_without_force() {
    let (host, api) = prepared();
    let old = announced(&host);
    let published = take(&api, "publish", "{}");
    assert_eq!(published["step"], "published");
    assert_ne!(announced(&host), old);
    let status = api.get("/v1/rotation");
    assert_eq!(status["devices"]["all"]["devices"], 1, "{status}");
    assert_eq!(
        status["devices"]["slowest"][0]["device"], DEVICE,
        "{status}"
    );
    let refused = |step, body| api.refused(422, "POST", &format!("/v1/rotation/{step}"), "", body);
    assert_eq!(refused("activate", "{}"), "devices-not-ready");
    assert_eq!(
        refused("activate", r#"{"threshold":1}"#),
        "devices-not-ready"
    );
    for body in [r#"{"threshold":-1}"#, r#"{"threshold":101}"#] {
        assert_eq!(refused("activate", body), "malformed-body", "{body}");
    }
    assert_eq!(take(&api, "activate", FORCE)["step"], "activated");
    assert_eq!(refused("publish", "{}"), "wrong-step");
    assert_eq!(take(&api, "undo", "{}")["step"], "undoing");
    assert_eq!(announced(&host), old);
    let undone = take(&api, "undo", FORCE);
    assert_eq!(
        (&undone["step"], &undone["left_to_do"]),
        (&Value::Null, &Value::Array(Vec::new()))
    );
    assert!(!host.installation.path("pki/next").exists());
    assert_eq!(api.get("/v1/rotation")["rotation"], Value::Null);
    let changes = crate::harness::ask_admin(
        api.address,
        "GET /changes",
        &crate::harness::bearer(&api.token),
        "",
    );
    let changes = String::from_utf8(changes.body).unwrap();
    assert_eq!(changes.matches("rotation.step").count(), 4, "{changes}");
}

/// As under the units, where a daemon may write no key.
#[test]
fn where_the_new_files_cannot_be_moved_undo_says_what_is_left_to_do() {
    let (host, api) = prepared();
    let status = api.get("/v1/rotation");
    let rotation = &status["rotation"];
    let (began, id) = (rotation["began_at"].as_str(), rotation["id"].as_str());
    let aside = format!("pki/undone-{}-{}", &began.unwrap()[..10], &id.unwrap()[..8]);
    // Root may write everywhere, but over nothing.
    fs_err::create_dir(host.installation.path(&aside)).unwrap();
    let undone = take(&api, "undo", "{}");
    assert_eq!(
        (&undone["step"], &undone["done"]),
        (&Value::Null, &Value::Array(Vec::new()))
    );
    let left = undone["left_to_do"][0].as_str().unwrap();
    for expected in ["pki/next` could not be moved to", &aside, "rotate prepare"] {
        assert!(left.contains(expected), "{expected}: {left}");
    }
    assert!(host.installation.path("pki/next/server.key").exists());
    let status = api.get("/v1/rotation");
    assert_eq!(status["rotation"], Value::Null);
    assert!(status["unused_files"].is_string(), "{status}");
    assert_eq!(
        api.refused(404, "POST", "/v1/rotation/undo", "", "{}"),
        "no-rotation"
    );
}
