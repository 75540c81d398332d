//! What is looked up elsewhere is told as on the host itself.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::super::{DATABASE, DEVICE, batch};
use super::{here, host};
use crate::harness::{Host, program};

/// A device that delivered audits, an alert and its parameters, and another that asked for a database.
fn with_devices() -> (Host, super::There) {
    let (host, there) = host("");
    for (device, code) in [(DEVICE, "0B040001"), ("FF00000000000001", "06010002")] {
        let target = format!("/swordfish/lock/audit?sn={device}");
        assert!(host.call("POST", &target, batch(code)).status() < 300);
    }
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    let call = host.call("POST", &target, batch("0B050001"));
    assert!(call.status() < 300, "{}", call.head);
    let upload = r#"{"config":{"deviceName":"Front door","wifiPassword":"hunter22","n":1.50}}"#;
    let target = format!("/swordfish/lock/Config?sn={DEVICE}");
    assert!(host.call("PUT", &target, upload).status() < 300);
    host.installation.write("db.json", DATABASE);
    (host, there)
}

#[test]
fn a_command_says_the_same_from_elsewhere() {
    let (host, there) = with_devices();
    let file = host.installation.path("db.json");
    let set = ["devices", "db", "set", DEVICE, file.to_str().unwrap()];
    let set_there = there.stdout(&set);
    let set_here = here(&host.installation, &set);
    assert_eq!(set_there, set_here.stdout_text());
    assert!(set_there.starts_with("ok: device"), "{set_there}");
    // Without a file in its folder: a device that never called can be given one.
    let unknown = ["devices", "db", "set", "AA00000000000001"];
    let unknown = [&unknown[..], &set[4..]].concat();
    assert_eq!(
        there.stdout(&unknown),
        here(&host.installation, &unknown).stdout_text()
    );
    for args in [
        &["devices"][..],
        &["devices", "--json", "--seen-since", "1d"],
        &["devices", "--serial", "ff", "--site", "Main Office"],
        &["devices", "--model", "none & such"],
        &["devices", "--not-seen-since", "2001-01-01"],
        &["devices", "--json", "--serial", "ab"],
        &["devices", "--limit", "1"],
        &["devices", "show", DEVICE],
        &["devices", "show", DEVICE, "--json"],
        &["devices", "db", "show", DEVICE],
        &["devices", "db", "show", DEVICE, "--json"],
        &["devices", "audits", DEVICE],
        &["devices", "audits", DEVICE, "--json"],
        &["devices", "audits", DEVICE, "--until", "2001-01-01"],
        &["devices", "audits", "--limit", "2", "--csv"],
        &["devices", "audits", "--alerts", "--since", "7d"],
        &["sites", "list"],
        &["sites", "list", "--json"],
        &["sites", "show", "Main Office", "--json"],
        &["sites", "show", "Main Office"],
        &["sites", "check"],
        &["sites", "check", "--json"],
    ] {
        let (there, here) = (there.run(args), here(&host.installation, args));
        assert_eq!(here.code, Some(0), "{args:?}: {here:?}");
        assert_eq!(there.code, here.code, "{args:?}: {there:?}");
        // What the configuration cannot say of a listener on port 0, here as there.
        assert_eq!(there.stdout_text(), here.stdout_text(), "{args:?}");
    }
}

#[test]
fn events_of_all_devices_come_in_the_order_in_which_they_were_stored() {
    let (_host, there) = with_devices();
    let told = there.stdout(&["devices", "audits", "--csv"]);
    let codes = ["0B040001", "06010002", "0B050001"];
    let places = codes.map(|code| told.find(code).unwrap_or_else(|| panic!("{code}: {told}")));
    assert!(places.is_sorted(), "{told}");
}

#[test]
fn the_options_are_taken_before_the_command_and_behind_it() {
    let (_host, there) = with_devices();
    let before = there.stdout(&["devices", "--json"]);
    let token_file = there.token_file.to_str().unwrap();
    let behind = ["--server", &there.url, "--token-file", token_file];
    for args in [&["devices", "--json"][..], &["sites", "list"]] {
        let mut command = program();
        command.args(args).args(behind).current_dir("/");
        let finished = crate::harness::run(&mut command);
        assert_eq!(finished.stdout_text(), there.stdout(args), "{finished:?}");
    }
    assert!(before.contains(DEVICE), "{before}");
}

#[test]
fn new_events_are_followed() {
    let (host, there) = with_devices();
    let follow = ["devices", "audits", DEVICE, "--follow", "--csv"];
    let mut child = there
        .command(&follow)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().to_lowercase().contains("device"));
    assert!(next().contains("0B040001"));
    assert!(next().contains("0B050001"));
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    let call = host.call("POST", &target, batch("0B080001"));
    assert!(call.status() < 300, "{}", call.head);
    assert!(next().contains("0B080001"));
    child.kill().unwrap();
    child.wait().unwrap();
}
