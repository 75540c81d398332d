//! Sites: added, shown, changed and removed, and what is announced for them.

use serde_json::Value;

use super::client::{Api, json};
use crate::harness::{Daemon, Installation, Role, SITE_KEY_HEX, get, standard};

fn host() -> (Installation, Daemon, Api) {
    let installation = Installation::new(standard()).with_admin();
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    fs_err::create_dir(installation.path("sites")).unwrap();
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin();
    (installation, daemon, Api { address, token })
}

/// What devices that ask for a host are told; `None` if they are refused.
fn announced(daemon: &Daemon, host: &str) -> Option<Value> {
    let request = format!(
        "GET /swordfish/lock/certificates/current HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    );
    let answer = crate::harness::exchange(daemon.http, request);
    let answer = crate::harness::Response::parse(&answer);
    (answer.status() == 200).then(|| json(&answer))
}

#[test]
fn a_site_is_announced_once_it_is_added_and_no_more_once_it_is_removed() {
    let (installation, daemon, api) = host();
    let default = announced(&daemon, "annex.example.com").unwrap();
    let new = format!(
        r#"{{"name":"Annex & Hall","key":"{}","hosts":["annex.example.com"]}}"#,
        SITE_KEY_HEX.replace('1', "2")
    );
    let answer = api.ask("POST", "/v1/sites", "", &new);
    assert_eq!(answer.status(), 201, "{}", super::client::shown(&answer));
    let path = "/v1/sites/Annex%20%26%20Hall";
    assert_eq!(answer.header("location"), Some(&*format!("/api{path}")));
    let report = json(&answer);
    assert_eq!(
        (&report["ok"], &report["outcome"]),
        (&true.into(), &"reloaded".into())
    );
    let told = announced(&daemon, "annex.example.com").unwrap();
    assert_ne!(told["hash"], default["hash"]);
    let shown = api.get(path);
    assert_eq!(shown["hash"], told["hash"]);
    assert!(!shown.to_string().contains(&SITE_KEY_HEX[8..24]), "{shown}");
    let names: Vec<_> = api.get("/v1/sites")["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["Annex & Hall", "Main Office"]);
    let page = api.get("/v1/sites?limit=1");
    let next = page["next"].as_str().unwrap();
    let page = api.get(&format!("/v1/sites?limit=1&cursor={next}"));
    assert_eq!(page["sites"][0]["name"], "Main Office");
    assert_eq!(page["next"], Value::Null);
    // Just so again: refused, and nothing changes.
    assert_eq!(
        api.refused(409, "POST", "/v1/sites", "", &new),
        "site-exists"
    );
    let removed = api.expect(200, "DELETE", path, "", "");
    assert_eq!(removed["removed"][0], "Annex & Hall");
    let key = removed["kept"][0].as_str().unwrap();
    assert!(installation.path(key).exists());
    assert_eq!(announced(&daemon, "annex.example.com").unwrap(), default);
    assert_eq!(api.refused(404, "GET", path, "", ""), "unknown-site-name");
}

#[test]
fn a_site_is_changed_by_who_has_seen_it_as_it_is() {
    let (_installation, daemon, api) = host();
    let new = r#"{"name":"Annex","hosts":["annex.example.com"]}"#;
    api.expect(201, "POST", "/v1/sites", "", new);
    let told = announced(&daemon, "annex.example.com").unwrap();
    let tag = api.ask("GET", "/v1/sites/Annex", "", "");
    let tag = tag.header("etag").unwrap().to_owned();
    let if_match = format!("If-Match: {tag}\r\n");
    let change = r#"{"hosts":["wing.example.com"]}"#;
    api.expect(200, "PUT", "/v1/sites/Annex", &if_match, change);
    // With its key as it was.
    assert_eq!(
        announced(&daemon, "wing.example.com").unwrap()["hash"],
        told["hash"]
    );
    assert_ne!(
        announced(&daemon, "annex.example.com").unwrap()["hash"],
        told["hash"]
    );
    for (method, body) in [("PUT", r#"{"hosts":["b.example.com"]}"#), ("DELETE", "")] {
        let refused = api.refused(412, method, "/v1/sites/Annex", &if_match, body);
        assert_eq!(refused, "changed-meanwhile", "{method}");
    }
    let taken = "{}";
    let refused = api.refused(409, "PUT", "/v1/sites/Annex", "", taken);
    assert_eq!(refused, "host-taken");
    let refused = api.refused(409, "PUT", "/v1/sites/Main%20Office", "", change);
    assert_eq!(refused, "site-in-config");
    let refused = api.refused(409, "DELETE", "/v1/sites/Main%20Office", "", "");
    assert_eq!(refused, "site-in-config");
    assert_eq!(
        announced(&daemon, "wing.example.com").unwrap()["hash"],
        told["hash"]
    );
    let with_key = api.expect(200, "DELETE", "/v1/sites/Annex?delete_key=true", "", "");
    assert_eq!(
        with_key["deleted"].as_array().unwrap().len(),
        2,
        "{with_key}"
    );
}

#[test]
fn what_cannot_be_a_site_is_refused_and_no_key_is_told() {
    let (_installation, _daemon, api) = host();
    for (body, status, code) in [
        (
            r#"{"name":"A","key":"SECRETSECRET"}"#,
            422,
            "malformed-given-key",
        ),
        (r#"{"name":"A","serials":["12"]}"#, 422, "malformed-serial"),
        (
            r#"{"name":"A","certificate":"a.der"}"#,
            422,
            "relative-path",
        ),
        (r#"{"name":"A","colour":"red"}"#, 422, "malformed-body"),
        (r#"{"name":"A","hosts":["a b"]}"#, 422, "malformed-body"),
        (r#"{"name":"A","key":12}"#, 422, "malformed-body"),
        (r#"{"name":""#, 400, "malformed-json"),
        (r#"{"name":"A"}"#, 409, "host-taken"),
    ] {
        let refused = api.refused(status, "POST", "/v1/sites", "", body);
        assert_eq!(refused, code, "{body}");
    }
    let answer = api.ask(
        "POST",
        "/v1/sites",
        "",
        r#"{"name":"A","key":"SECRETSECRET"}"#,
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("SECRETSECRET"));
}

#[test]
fn check_and_reload_say_what_the_command_says() {
    let (installation, _daemon, api) = host();
    assert_eq!(api.get("/v1/check/sites")["ok"], true);
    let mut of_command = installation.check_json();
    let mut of_api = api.get("/v1/check");
    // The command tries the ports, which the daemon has.
    for report in [&mut of_command, &mut of_api] {
        report["warnings"] = Value::Null;
        report["base_url"] = Value::Null;
        for site in report["sites"].as_array_mut().unwrap() {
            site["cert_url"] = Value::Null;
        }
    }
    assert_eq!(of_api, of_command);
    assert_eq!(api.get("/v1/reload")["ok"], true);
    let reloaded = api.expect(200, "POST", "/v1/reload", "", "");
    assert_eq!(reloaded["ok"], true, "{reloaded}");
    installation.write("pki/site.key", "no key");
    let refused = api.expect(200, "POST", "/v1/reload", "", "");
    assert_eq!(refused["ok"], false, "{refused}");
    let last = api.get("/v1/reload");
    assert_eq!(last["refusals"], refused["refusals"]);
    let check = api.get("/v1/check");
    assert_eq!(check["ok"], false, "{check}");
    assert_eq!(get(api.address, "/healthz").status(), 200);
}

#[test]
fn a_site_whose_file_is_broken_is_not_changed_and_can_be_removed() {
    let (installation, _daemon, api) = host();
    let new = r#"{"name":"Annex","hosts":["annex.example.com"]}"#;
    let added = api.expect(201, "POST", "/v1/sites", "", new);
    let file = added["created"][1]["path"].as_str().unwrap();
    let file = std::path::Path::new(file).strip_prefix(installation.folder());
    let file = file.unwrap().to_str().unwrap();
    let good = fs_err::read_to_string(installation.path(file)).unwrap();
    installation.write(file, format!("{good}nonsense\n"));
    let change = r#"{"hosts":["wing.example.com"]}"#;
    let refused = api.refused(409, "PUT", "/v1/sites/Annex", "", change);
    assert_eq!(refused, "site-unusable");
    let after = fs_err::read_to_string(installation.path(file)).unwrap();
    assert!(after.ends_with("nonsense\n"), "{after}");
    let removed = api.expect(200, "DELETE", "/v1/sites/Annex", "", "");
    assert_eq!(removed["removed"][0], "Annex");
}
