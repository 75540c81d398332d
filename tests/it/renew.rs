//! `renew`: a new server certificate, of which devices notice nothing.

mod auto;
mod interrupted;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use engage_wire::pki::{Certificate, load_certificate_chain, load_certificate_der};
use serde_json::Value;

use crate::harness::{
    Daemon, Finished, Installation, openssl, program, run, tls_connect, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const ROOT: &str = "static/Device_Certificates/partner_CA.der";
const INTERMEDIATE: &str = "static/Device_Certificates/partner_intermediate.der";
const INTERMEDIATE_KEY: &str = "pki/partner_intermediate.key";
const SERVER: &str = "pki/partner_server.pem";
const SERVER_KEY: &str = "pki/partner_server.key";

fn command(installation: &Installation, more: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["renew", "--config"])
        .arg(installation.path("config.toml"));
    // No daemon of this computer is to be asked.
    command
        .env("RUNTIME_DIRECTORY", installation.folder())
        .args(more);
    command
}

fn renew(installation: &Installation, more: &[&str]) -> Finished {
    run(&mut command(installation, more))
}

fn renewed(installation: &Installation, more: &[&str]) -> Value {
    let finished = renew(installation, &[more, &["--json"]].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stdout_text());
    serde_json::from_slice(&finished.stdout).unwrap()
}

/// What is sent in handshakes.
fn chain(installation: &Installation) -> Vec<Certificate> {
    load_certificate_chain("chain", &installation.path(SERVER)).unwrap()
}

fn read(installation: &Installation, name: &str) -> Vec<u8> {
    fs_err::read(installation.path(name)).unwrap()
}

fn hidden(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

fn is_verified_by_openssl(installation: &Installation) {
    openssl(
        installation.folder(),
        ["x509", "-inform", "der", "-in", ROOT, "-out", "root.pem"],
    );
    let arguments = [
        "verify",
        "-CAfile",
        "root.pem",
        "-untrusted",
        SERVER,
        SERVER,
    ];
    openssl(installation.folder(), arguments);
}

#[test]
fn a_renewal_keeps_root_and_names_and_a_daemon_takes_it_up() {
    let installation = Installation::by_init(&[]);
    installation.chmod(SERVER_KEY, 0o640);
    let (before, old_key) = (chain(&installation), read(&installation, SERVER_KEY));
    let root = load_certificate_der("root", &installation.path(ROOT)).unwrap();
    let mut daemon = Daemon::start(&installation);
    let told = renewed(&installation, &["--days", "300"]);
    let after = chain(&installation);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    assert_eq!(after[0].alt_names(), before[0].alt_names());
    assert_ne!(
        after[0].subject_public_key(),
        before[0].subject_public_key()
    );
    assert_eq!(
        told["server"]["not_after"],
        after[0].validity().not_after.to_string()
    );
    is_verified_by_openssl(&installation);
    assert_eq!(installation.check(&[]).code, Some(0));
    // What it replaces is kept, as readable as it was.
    let kept = told["kept"].as_array().unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|it| Path::new(it.as_str().unwrap()))
        .collect();
    assert_eq!(fs_err::read(kept[0]).unwrap(), old_key);
    assert_eq!(
        load_certificate_chain("kept", kept[1]).unwrap()[0],
        before[0]
    );
    for key in [kept[0], &installation.path(SERVER_KEY)] {
        assert_eq!(
            fs_err::metadata(key).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
    assert_eq!(hidden(&installation.path("pki")), [""; 0]);
    daemon.wait_for("reloaded:");
    let mut session = tls_connect(daemon.https, &trusting(root.der()));
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock).unwrap();
    }
    assert_eq!(
        session.conn.peer_certificates().unwrap()[0],
        *after[0].der()
    );
}

#[test]
fn other_names_are_those_that_are_named() {
    let installation = Installation::by_init(&[]);
    renewed(
        &installation,
        &["--host", "10.1.2.3", "--host", "127.0.0.1"],
    );
    let names = chain(&installation)[0].alt_names_text();
    assert!(names.starts_with("10.1.2.3, 127.0.0.1"), "{names}");
    assert!(!names.contains("doors.example.com"), "{names}");
}

#[test]
fn a_host_lives_without_the_key_of_its_root() {
    let offline = tempfile::tempdir().unwrap();
    let folder = offline.path().join("usb");
    let installation = Installation::by_init(&["--root-key-out", folder.to_str().unwrap()]);
    let key = folder.join("partner_CA.key");
    assert_eq!(
        fs_err::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!installation.path("pki/partner_CA.key").exists());
    let away = offline.path().join("away.key");
    fs_err::rename(&key, &away).unwrap();
    assert_eq!(installation.check(&[]).code, Some(0));
    let again = run(program().args(["init", "--dir"]).arg(installation.folder()));
    assert!(
        again.stdout_text().contains("nothing is missing"),
        "{}",
        again.stdout_text()
    );
    renewed(&installation, &[]);
    let daemon = Daemon::start(&installation);
    let root = read(&installation, ROOT);
    assert_eq!(
        tls_get(daemon.https, &trusting(&root), ANNOUNCEMENT).status(),
        200
    );
    // Only another intermediate needs it.
    let before = chain(&installation);
    let refused = renew(&installation, &["--intermediate"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors().contains("pki/partner_CA.key"),
        "{}",
        refused.errors()
    );
    assert_eq!(chain(&installation), before);
    renewed(
        &installation,
        &["--intermediate", "--root-key", away.to_str().unwrap()],
    );
    let after = chain(&installation);
    assert_ne!(
        after[1].subject_public_key(),
        before[1].subject_public_key()
    );
    assert_eq!(after[1].der().to_vec(), read(&installation, INTERMEDIATE));
    is_verified_by_openssl(&installation);
    assert_eq!(installation.check(&[]).code, Some(0));
    renewed(&installation, &[]);
}

#[test]
fn an_intermediate_that_devices_trust_is_not_replaced() {
    let installation = Installation::by_init(&[]);
    installation.edit("partner_CA.der", "partner_intermediate.der");
    let before = chain(&installation);
    let refused = renew(&installation, &["--intermediate"]);
    assert_eq!(refused.code, Some(1));
    let told = refused.errors();
    assert!(
        told.contains("is what devices of site `Main Office` trust"),
        "{told}"
    );
    assert_eq!(chain(&installation), before);
    renewed(&installation, &[]);
    assert_ne!(chain(&installation)[0], before[0]);
    assert_eq!(installation.check(&[]).code, Some(0));
}

#[test]
fn what_a_device_would_reject_takes_no_place() {
    let installation = Installation::by_init(&[]);
    // Another root's intermediate: devices here do not know that root.
    let other = Installation::by_init(&[]);
    for name in [INTERMEDIATE, INTERMEDIATE_KEY] {
        installation.write(name, read(&other, name));
    }
    let pair = || [SERVER, SERVER_KEY].map(|name| read(&installation, name));
    let before = pair();
    let refused = renew(&installation, &[]);
    assert_eq!(refused.code, Some(1));
    let told = refused.errors();
    assert!(
        told.contains("devices would not accept the new certificate"),
        "{told}"
    );
    assert!(told.contains("partner_CA"), "{told}");
    assert!(pair() == before && hidden(&installation.path("pki")).is_empty());
    assert!(!installation.path("pki/old").exists());
}

#[test]
fn a_site_that_is_bad_already_is_not_held_against_a_renewal() {
    let installation = Installation::by_init(&[]);
    let bad = "[[site]]\nname = \"Bad\"\nhosts = [\"bad.example\"]\nkey_file = \"pki/none.key\"\n\
               certificate = \"static/Device_Certificates/partner_CA.der\"\n";
    installation.set("[admin]", "");
    installation.write(
        "config.toml",
        [&read(&installation, "config.toml"), bad.as_bytes()].concat(),
    );
    let before = chain(&installation);
    renewed(&installation, &[]);
    assert_ne!(chain(&installation)[0], before[0]);
}
