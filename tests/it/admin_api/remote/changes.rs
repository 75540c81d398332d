//! What is changed elsewhere: sites, and passwords of devices.

use serde_json::Value;

use super::super::{Api, DEVICE};
use super::{There, refusals};
use crate::harness::{
    Daemon, Host, Installation, Role, SITE_KEY_HEX, program, run_with_input, standard,
};

fn host_with_sites() -> (Installation, Daemon, There) {
    let installation = Installation::new(standard()).with_admin();
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    fs_err::create_dir(installation.path("sites")).unwrap();
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin();
    let there = There::new(&installation, &Api { address, token });
    (installation, daemon, there)
}

#[test]
fn a_site_is_added_with_its_key_and_removed() {
    let (installation, _daemon, there) = host_with_sites();
    let key = SITE_KEY_HEX.replace('1', "2");
    installation.write("serials", "00000000000000A1 # front\n00000000000000A2\n");
    let serials = installation.path("serials").display().to_string();
    let add = [
        "sites",
        "add",
        "Annex & Hall",
        "--site-key-file",
        "-",
        "--host",
        "annex.example.com",
        "--serial",
        "00000000000000a1",
        "--serials-file",
        &serials,
    ];
    let added = there.run_with_input(&add, key.as_bytes());
    assert_eq!(added.code, Some(0), "{added:?}");
    let said = added.stdout_text();
    assert!(said.contains("added site `Annex & Hall`"), "{said}");
    assert!(said.ends_with("the daemon has read it: new connections get it\n"));
    assert!(!said.contains(&key[8..24]), "{said}");
    let shown = there.stdout(&["sites", "show", "Annex & Hall", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["hosts"][0], "annex.example.com");
    let serials = ["00000000000000A1", "00000000000000A2"];
    assert_eq!(shown["serials"], serde_json::json!(serials));
    let key_file = shown["key_file"].as_str().unwrap();
    let written = fs_err::read_to_string(installation.path(key_file)).unwrap();
    assert_eq!(written.trim(), key);
    // Once more: the host refuses it, with its code.
    let again = there.run_with_input(&[&add[..], &["--json"]].concat(), key.as_bytes());
    assert_eq!(again.code, Some(1));
    let codes = ["site-exists", "host-taken", "serial-taken", "serial-taken"];
    assert_eq!(refusals(&again), codes);
    let remove = ["sites", "remove", "Annex & Hall"];
    let removed = there.stdout(&remove);
    assert!(removed.contains("removed site `Annex & Hall`"), "{removed}");
    assert!(installation.path(key_file).exists());
    let removed = there.run(&[&remove[..], &["--json"]].concat());
    assert_eq!(refusals(&removed), ["unknown-site-name"]);
}

#[test]
fn a_key_of_raw_bytes_arrives_as_it_is_and_goes_with_its_site_where_that_is_meant() {
    let (installation, _daemon, there) = host_with_sites();
    let raw: Vec<u8> = (0..32_u32)
        .map(|it| (it * it * 37 + 200).to_le_bytes()[0])
        .collect();
    installation.write("raw.key", &raw);
    let key = installation.path("raw.key").display().to_string();
    let add = ["sites", "add", "Annex", "--site-key-file", &key, "--json"];
    let added = there.run(&[&add[..], &["--host", "annex.example.com"]].concat());
    assert_eq!(added.code, Some(0), "{added:?}");
    let report: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(report["outcome"], "reloaded");
    let hash = |args: &[&str]| {
        let shown = crate::harness::run(program().args(args));
        shown.stdout_text()
    };
    let certificate = installation.path("static/Device_Certificates/partner_CA.der");
    let certificate = certificate.to_str().unwrap();
    let expected = hash(&["hash", "--site-key-file", &key, certificate]);
    let shown = there.stdout(&["sites", "show", "Annex", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let told = shown["hash"].as_str().unwrap();
    assert!(expected.contains(told), "{told} in {expected}");
    let key_file = shown["key_file"].as_str().unwrap().to_owned();
    let removed = there.stdout(&["sites", "remove", "Annex", "--delete-key"]);
    assert!(removed.contains("removed site `Annex`"), "{removed}");
    assert!(!installation.path(&key_file).exists());
}

#[test]
fn everything_that_is_wrong_with_a_site_is_told() {
    let (_installation, _daemon, there) = host_with_sites();
    let add = |name, more: &[&str]| {
        let common = ["sites", "add", name, "--json", "--host"];
        there.run(&[&common[..], more].concat())
    };
    let annex = ["annex.example.com", "--serial", "00000000000000A1"];
    assert_eq!(add("Annex", &annex).code, Some(0));
    let taken = add("Hall", &annex);
    assert_eq!(taken.code, Some(1));
    let codes = refusals(&taken);
    assert_eq!(codes, ["host-taken", "serial-taken"]);
    let relative = add("Hall", &["hall.example.com", "--certificate", "hall.der"]);
    assert_eq!(refusals(&relative), ["relative-path"]);
}

#[test]
fn a_device_gets_a_password_and_loses_it() {
    let installation = Host::installation("credentials_file = \"credentials\"");
    let other = "FEDCBA9876543210";
    let line = run_with_input(
        program().args(["devices", "credential", other]),
        b"other password\n",
    );
    installation.write("credentials", &line.stdout);
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin();
    let there = There::new(&installation, &Api { address, token });
    let host = Host {
        installation,
        daemon,
    };
    let status = || {
        let pair = data_encoding::BASE64.encode(format!("{DEVICE}:front \"door\"").as_bytes());
        let headers = format!("Authorization: Basic {pair}\r\n");
        let target = "/swordfish/lock/db/0";
        host.call_with(&headers, "GET", target, "").status()
    };
    assert_eq!(status(), 401);
    let set = ["devices", "credential", DEVICE];
    let done = there.run_with_input(&set, b"front \"door\"\n");
    assert_eq!(done.code, Some(0), "{done:?}");
    let said = done.stdout_text();
    assert!(
        said.starts_with("ok: device 0123456789ABCDEF is to call"),
        "{said}"
    );
    assert!(!said.contains("front"), "{said}");
    assert_eq!(status(), 200);
    let removed = there.stdout(&["devices", "credential", DEVICE, "--remove"]);
    assert!(removed.contains("may not call"), "{removed}");
    assert_eq!(status(), 401);
    let last = there.run(&["devices", "credential", other, "--remove"]);
    assert_eq!(last.code, Some(1));
    let said = last.stderr_text();
    assert!(said.contains("hint: "), "{said}");
    // Nobody else's file is edited by hand here.
    let here = crate::harness::run(program().args(["devices", "credential", DEVICE, "--remove"]));
    assert_eq!(here.code, Some(2));
}
