//! The databases that devices are to have.

use super::{DATABASE, DEVICE, OTHER, host};

#[test]
fn a_database_is_set_shown_masked_and_taken_away() {
    let (host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
    assert_eq!(api.refused(404, "DELETE", &path, "", ""), "no-database");
    let set = api.expect(200, "PUT", &path, "", DATABASE);
    assert_eq!(set["source"], "command");
    assert_eq!(set["contents"]["users_added"], 1);
    let shown = api.ask("GET", &path, "", "");
    let version = set["version"].as_str().unwrap();
    assert_eq!(shown.header("etag"), Some(&*format!("\"{version}\"")));
    let text = String::from_utf8(shown.body).unwrap();
    assert!(!text.contains("735B174C") && text.contains("148"), "{text}");
    // The device is sent the credential.
    let target = format!("/swordfish/lock/db/0?sn={DEVICE}");
    let sent = host.call("GET", &target, "");
    let sent = String::from_utf8(sent.body).unwrap();
    assert!(sent.contains("735B174C"), "{sent}");
    assert_eq!(api.ask("DELETE", &path, "", "").status(), 204);
    let sent = String::from_utf8(host.call("GET", &target, "").body).unwrap();
    assert!(!sent.contains("735B174C"), "{sent}");
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
}

#[test]
fn a_lost_update_is_refused() {
    let (_host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    let tag = |version: &serde_json::Value| format!("If-Match: {version}\r\n");
    let none = "If-Match: \"0x0000000000000000\"\r\n";
    let first = api.expect(200, "PUT", &path, none, DATABASE)["version"].clone();
    // Whoever saw nothing, or something else, changes nothing.
    let changed = "changed-meanwhile";
    assert_eq!(api.refused(412, "PUT", &path, none, OTHER), changed);
    let second = api.expect(200, "PUT", &path, &tag(&first), OTHER)["version"].clone();
    for method in ["PUT", "DELETE"] {
        let body = if method == "PUT" { DATABASE } else { "" };
        assert_eq!(api.refused(412, method, &path, &tag(&first), body), changed);
        let other = "If-Match: \"something\"\r\n";
        assert_eq!(api.refused(412, method, &path, other, body), changed);
        let bare = "If-Match: something\r\n";
        let refused = api.refused(400, method, &path, bare, body);
        assert_eq!(refused, "malformed-if-match");
    }
    assert_eq!(api.get(&path)["version"], second);
    assert_eq!(api.ask("DELETE", &path, &tag(&second), "").status(), 204);
}

#[test]
fn what_would_not_be_sent_is_refused_as_by_the_command() {
    let (host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    let without_schedule = r#"{"db":{"schedules":[]}}"#;
    host.installation.write("db.json", without_schedule);
    let command = crate::harness::run(
        crate::harness::program()
            .args(["devices", "db", "set", DEVICE, "db.json"])
            .current_dir(host.installation.path("")),
    );
    let answer = api.ask("PUT", &path, "", without_schedule);
    assert_eq!(answer.status(), 422);
    let problem = super::client::json(&answer);
    assert_eq!(problem["code"], "malformed-database");
    let hint = problem["hint"].as_str().unwrap();
    assert!(
        command.stderr_text().contains(hint),
        "{hint}\n{}",
        command.stderr_text()
    );
    assert_eq!(
        api.refused(422, "PUT", &path, "", "[]"),
        "malformed-database"
    );
    let untyped = format!("Content-Length: {}\r\n", OTHER.len());
    let answer = api.ask("PUT", &path, &untyped, "");
    assert_eq!(answer.status(), 415, "{}", super::client::shown(&answer));
    assert_eq!(
        api.refused(400, "GET", "/v1/devices/x/database", "", ""),
        "malformed-path"
    );
}

#[test]
fn what_is_dropped_as_a_file_is_not_taken_away_while_the_file_is_there() {
    let (host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    let file = format!("Engage_Data/{DEVICE}/db.json");
    host.installation.write(&file, DATABASE);
    let target = format!("/swordfish/lock/db/0?sn={DEVICE}");
    assert_eq!(host.call("GET", &target, "").status(), 200);
    assert_eq!(api.get(&path)["source"], "file");
    let answer = api.ask("DELETE", &path, "", "");
    let problem = super::client::json(&answer);
    assert_eq!(
        (answer.status(), &problem["code"]),
        (409, &"database-dropped".into())
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("db.json"),
        "{problem}"
    );
    assert_eq!(api.get(&path)["source"], "file");
    host.installation.remove(&file);
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
}
