//! The server certificate is renewed while the root is changed, and after.

use engage_store::RotationStep;
use engage_wire::pki::{Certificate, load_certificate_chain};

use super::fixture::{Rotating, shows};
use crate::expiry::{faketime, in_faked_time, set_clock};
use crate::harness::{Installation, get};

const SERVER: &str = "pki/partner_server.pem";

fn leaf(host: &Rotating) -> Certificate {
    let chain = host.installation.path(SERVER);
    load_certificate_chain("chain", &chain)
        .unwrap()
        .swap_remove(0)
}

fn renew(host: &Rotating, args: &[&str]) -> String {
    let finished = host.command(&["renew"], args);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout_text()
}

#[test]
fn a_renewal_disturbs_no_rotation_and_is_possible_under_the_new_root() {
    let offline = tempfile::tempdir().unwrap();
    let keys = offline.path().to_str().unwrap();
    let host = Rotating::on(Installation::by_init(&["--root-key-out", keys]), |_| {});
    let old_root = get(host.daemon.http, &host.announced().0).body;
    fs_err::rename(
        offline.path().join("partner_CA.key"),
        offline.path().join("old.key"),
    )
    .unwrap();
    host.rotate("prepare", &["--root-key-out", keys]);
    host.rotate("publish", &[]);
    let new_root = get(host.daemon.http, &host.announced().0).body;
    let before = leaf(&host);
    shows(&renew(&host, &[]), &["the daemon has read its files again"]);
    assert_ne!(leaf(&host), before);
    for root in [&old_root, &new_root, &old_root] {
        assert!(host.accepts(root));
    }
    host.rotate("activate", &["--force"]);
    let retired = host.rotate("retire", &["--force"]);
    // A renewal keeps a key that the old root's authorities have signed for.
    let kept = host.installation.path("pki/old");
    let kept = fs_err::read_dir(kept).unwrap().map(|it| it.unwrap().path());
    let kept: Vec<_> = kept
        .map(|it| it.display().to_string())
        .filter(|it| it.contains(".key."))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    shows(
        &retired,
        &["destroy the old keys", &kept[0], "no rotation is under way"],
    );
    assert!(host.accepts(&new_root) && !host.accepts(&old_root));

    let retired_leaf = leaf(&host);
    renew(&host, &[]);
    let key = fs_err::read_dir(keys).unwrap().map(|it| it.unwrap().path());
    let key = key.into_iter().find(|it| !it.ends_with("old.key")).unwrap();
    renew(
        &host,
        &["--intermediate", "--root-key", key.to_str().unwrap()],
    );
    assert_ne!(leaf(&host), retired_leaf);
    assert!(host.accepts(&new_root) && !host.accepts(&old_root));
    assert_eq!(host.installation.check(&[]).code, Some(0));
}

#[test]
fn what_is_being_replaced_is_renewed_by_itself_only_before_it_ends() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = Installation::by_init(&["--days", "300"]);
    installation.set("[pki]", "auto_renew = true\nsteady_clock_minutes = 0");
    set_clock(&installation, 0);
    let faked = in_faked_time(&installation, &library);
    let mut host = Rotating::on(installation, faked);
    host.rotate("prepare", &[]);
    host.rotate("publish", &[]);
    host.daemon.wait_for("root rotation");
    let before = leaf(&host);
    let look = |host: &mut Rotating, days| {
        set_clock(&host.installation, days);
        let reloads = host.daemon.seen("reloaded:").count();
        host.daemon.hang_up();
        host.daemon.wait_for_count("reloaded:", reloads + 1);
    };
    // Two thirds are over; the new chain lasts.
    look(&mut host, 220);
    look(&mut host, 269);
    host.daemon.wait_for("expires in 30 days");
    assert_eq!(leaf(&host), before);
    look(&mut host, 275);
    host.daemon.wait_for("renewed the server certificate");
    assert_ne!(leaf(&host), before);
}

#[test]
fn what_a_rotation_would_lose_or_replaces_is_not_renewed() {
    let host = Rotating::on(Installation::by_init(&[]), |_| {});
    host.rotate("prepare", &[]);
    let before = leaf(&host);
    let refused = |args: &[&str], parts: &[&str]| {
        let finished = host.command(&["renew"], args);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        shows(&finished.errors(), parts);
        assert_eq!(leaf(&host), before);
    };
    for step in ["prepared", "published"] {
        refused(
            &["--host", "10.45.9.9"],
            &["the root is being changed", step, "engage-host rotate undo"],
        );
        host.rotate("publish", &[]);
    }
    // Somebody retires at this moment, or was killed while at it.
    host.set_step(RotationStep::Retiring);
    refused(&[], &["is being retired", "engage-host rotate retire"]);
    let retired = host.rotate("retire", &["--force"]);
    shows(&retired, &["no rotation is under way"]);
    renew(&host, &["--host", "10.45.9.9"]);
}
