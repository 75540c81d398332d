//! `check` refuses what a start would stumble over, keeps nothing of it, and disturbs nobody.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Daemon, Installation, run, standard};

#[test]
fn a_port_that_another_program_has_is_refused_with_its_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let installation = Installation::new(standard());
    let checked = installation.check(&["--https", &address]);
    assert_eq!(checked.code, Some(1));
    let said = checked.stdout_text();
    assert!(
        said.contains("error[cannot-listen]: failed to listen on https://127.0.0.1:"),
        "{said}"
    );
    let holder = format!("(process {}) has port", std::process::id());
    assert!(said.contains(&holder), "{said}");
}

#[test]
fn a_daemon_that_runs_keeps_its_ports_and_is_not_in_the_way() {
    let installation = Installation::new(standard());
    installation.set_base_url("http://10.44.68.128");
    let daemon = Daemon::start(&installation);
    let (http, https) = (daemon.http.to_string(), daemon.https.to_string());
    let checked = installation.check(&["--http", &http, "--https", &https]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout_text());
}

#[test]
fn nothing_is_kept() {
    let installation = Installation::new(standard());
    assert_eq!(installation.check(&[]).code, Some(0));
    assert!(!installation.path("Engage_Data").exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let installation = Installation::new(standard());
    installation.set("[devices]", "directory = \"ledger/of/devices\"");
    installation.write("ledger", "a file");
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(1));
    let said = checked.stdout_text();
    assert!(said.contains("failed to open device directory"), "{said}");
}

#[test]
fn what_the_services_user_may_not_do_is_refused() {
    let installation = Installation::new(standard());
    let opened = run(std::process::Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(installation.path("")));
    assert_eq!(opened.code, Some(0));
    let key = installation.path("pki/partner_server.key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let is_root = run(std::process::Command::new("id").arg("-u")).stdout_text() == "0\n";
    let checked = installation.check(&["--as-user", "nobody"]);
    assert_eq!(checked.code, Some(1));
    let said = format!("{}{}", checked.stdout_text(), checked.stderr_text());
    if is_root {
        assert!(said.contains("failed to read private key"), "{said}");
        assert!(said.contains("failed to open device directory"), "{said}");
    } else {
        assert!(said.contains("run this as root"), "{said}");
    }
    let unknown = installation.check(&["--as-user", "no-such-user-here"]);
    assert_eq!(unknown.code, Some(1));
}
