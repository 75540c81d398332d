//! `engage-host rotate`, step by step, beside a daemon that follows.

mod fixture;
mod hosts;
mod killed;
mod refused;
mod renewed;

use engage_wire::pki::{Certificate, load_certificate_chain};
use engage_wire::site::SiteKey;

use crate::harness::{get, get_from, standard};
use fixture::{Rotating, SERIAL, shows};

#[test]
fn a_rotation_from_its_beginning_to_its_end() {
    let host = Rotating::start();
    let old = host.announced();
    let prepared = host.rotate("prepare", &[]);
    shows(
        &prepared,
        &[
            "follows",
            "devices see nothing of the new one yet",
            "next: `engage-host rotate publish`",
        ],
    );
    assert_eq!(host.announced(), old);
    let again = host.rotate("prepare", &[]);
    shows(&again, &["prepared before"]);

    host.call_in();
    let published = host.rotate("publish", &[]);
    shows(&published, &["follows", "the new certificate is announced"]);
    let new = host.announced();
    assert_ne!(new, old);
    let other = [127, 0, 0, 9];
    let served = get_from(other, host.daemon.http, &new.0).body;
    let key = SiteKey::load(&host.installation.path("pki/site.key")).unwrap();
    assert_eq!(key.announcement_hash(&served).to_string(), new.1);

    // The device that has called in has not fetched it.
    let refused = host.run("activate", &[]);
    assert_eq!(refused.code, Some(1));
    let text = refused.stderr_text();
    assert!(text.contains("1 of 1 devices"), "{text}");
    assert!(text.contains(&format!("{SERIAL} (")), "{text}");
    assert_eq!(host.status()["rotation"]["step"], "published");
    // Somebody else can say its serial number.
    get_from(other, host.daemon.http, &format!("{}?sn={SERIAL}", new.0));
    let current = format!("/swordfish/lock/certificates/current?sn={SERIAL}");
    get_from(other, host.daemon.http, &current);
    host.wait_for_status(|status| status["devices"]["all"]["told"] == 1);
    assert_eq!(host.run("activate", &[]).code, Some(1));
    let fetched = get_from(
        [127, 0, 0, 1],
        host.daemon.http,
        &format!("{}?sn={SERIAL}", new.0),
    );
    assert_eq!(fetched.body, served);
    host.wait_for_status(|status| status["devices"]["all"]["fetched"] == 1);
    shows(
        &host.rotate("status", &[]),
        &["100.0 %", "next: `engage-host rotate activate`"],
    );
    let activated = host.rotate("activate", &[]);
    shows(&activated, &["follows", "unknown ones the new"]);
    // It has not shown yet that it can do without the old one.
    let refused = host.run("retire", &[]);
    assert_eq!(refused.code, Some(1));
    shows(&refused.stderr_text(), &[&format!("{SERIAL} (fetched)")]);
    host.call_in_trusting(&served);
    host.wait_for_status(|status| status["devices"]["all"]["verified"] == 1);

    let retired = host.rotate("retire", &[]);
    shows(
        &retired,
        &[
            "the old files are kept in",
            "destroy the old keys",
            "the configured chain alone",
        ],
    );
    assert_eq!(host.status()["rotation"], serde_json::Value::Null);
    // Under the configured name again.
    assert_eq!(host.announced().0, old.0);
    assert_eq!(get(host.daemon.http, &old.0).body, served);
    assert!(host.accepts(&served));
    assert!(!host.accepts(&standard().root.der));
    let checked = host.installation.check(&[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!host.installation.path("pki/next").exists());
    // Everything that renews is there.
    let chain = host.installation.path("pki/partner_server.pem");
    let chain = load_certificate_chain("test", &chain).unwrap();
    let root = Certificate::parse(served).unwrap();
    assert_eq!(chain.len(), 2);
    chain[1].verify_issued_by(&root).unwrap();
    for key in ["partner_CA.key", "partner_intermediate.key"] {
        let pem = fs_err::read(host.installation.path("pki").join(key)).unwrap();
        assert!(pem.starts_with(b"-----BEGIN PRIVATE KEY-----"), "{key}");
    }
    shows(&host.rotate("prepare", &[]), &["the new files are in"]);
}

#[test]
fn with_cross_signing_both_roots_verify_one_chain() {
    let host = Rotating::start();
    // The old root's key is on another disk, and the new one's goes there.
    let keys = tempfile::tempdir().unwrap();
    let old_key = keys.path().join("partner_CA.key");
    fs_err::write(&old_key, standard().root.key.pem()).unwrap();
    let (old_key, folder) = (old_key.to_str().unwrap(), keys.path().to_str().unwrap());
    let cross = ["--overlap", "cross", "--old-root-key", old_key];
    host.rotate(
        "prepare",
        &[&cross[..], &["--root-key-out", folder]].concat(),
    );
    assert_eq!(fs_err::read_dir(folder).unwrap().count(), 2);
    host.rotate("publish", &[]);
    let new = get(host.daemon.http, &host.announced().0).body;
    for _ in 0..2 {
        assert!(host.accepts(&standard().root.der));
        assert!(host.accepts(&new));
    }
    host.rotate("activate", &["--force"]);
    host.rotate("retire", &["--force"]);
    assert!(host.accepts(&new));
    assert!(!host.accepts(&standard().root.der));
    let chain = host.installation.path("pki/partner_server.pem");
    assert_eq!(load_certificate_chain("test", &chain).unwrap().len(), 2);
    assert!(!host.installation.path("pki/partner_CA.key").exists());
}

#[test]
fn every_step_before_retire_can_be_undone() {
    let host = Rotating::start();
    let old = host.announced();
    host.rotate("prepare", &[]);
    let undone = host.rotate("undo", &[]);
    shows(&undone, &["nothing uses it", "the configured chain alone"]);

    host.rotate("prepare", &[]);
    host.rotate("publish", &[]);
    let undoing = host.rotate("undo", &[]);
    shows(
        &undoing,
        &[
            "the old certificate is announced again",
            "engage-host rotate undo",
        ],
    );
    assert_eq!(host.announced(), old);
    // And forth again.
    host.rotate("publish", &[]);
    assert_ne!(host.announced(), old);
    let new = get(host.daemon.http, &host.announced().0).body;
    host.rotate("activate", &["--force"]);
    host.call_in_trusting(&new);
    host.wait_for_status(|status| status["devices"]["all"]["verified"] == 1);
    host.rotate("undo", &[]);
    assert_eq!(host.announced(), old);
    let refused = host.run("undo", &[]);
    assert!(refused.stderr_text().contains("devices-not-ready") || refused.code == Some(1));
    let undone = host.rotate("undo", &["--force"]);
    shows(&undone, &["the configured chain alone"]);
    assert!(host.accepts(&standard().root.der));
    assert!(!host.accepts(&new));
}

#[test]
fn what_somebody_else_has_made_is_taken_and_what_lies_there_is_taken_up() {
    let host = Rotating::start();
    let given = host.given();
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    host.rotate("prepare", &given);
    let taken = host.run("prepare", &given);
    assert_eq!(taken.code, Some(1));
    assert!(taken.stderr_text().contains("holds new files already"));
    host.rotate("publish", &[]);
    assert_eq!(
        get(host.daemon.http, &host.announced().0).body,
        fixture::new_chain().root.der
    );
    // As after the store was lost: the row is not there, the files are.
    host.forget_row();
    shows(
        &host.rotate("status", &[]),
        &["holds new files that nothing uses"],
    );
    shows(&host.rotate("prepare", &[]), &["took up the new files"]);
    host.rotate("publish", &[]);
    assert_eq!(
        get(host.daemon.http, &host.announced().0).body,
        fixture::new_chain().root.der
    );
}
