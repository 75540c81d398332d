//! New files that do not hold.

use engage_store::RotationStep::{Activated, Published, Retiring};

use super::OLD_ANCHOR;
use super::fixture::Trusted::{NewRoot, OldRoot};
use super::fixture::{Rotating, fingerprint, new_anchor_path, new_chain, write_next};
use crate::harness::{Host, program, run, standard};

const REFUSED: &str = "this host does not follow the root rotation";

#[test]
fn new_files_that_do_not_hold_take_nothing_down_and_are_used_once_they_are_mended() {
    let mut rotating = Rotating::start();
    let installation = &rotating.host.installation;
    installation.write("pki/next/server.key", standard().server.key.pem());
    rotating.step(Published);
    let line = rotating.host.daemon.wait_for(REFUSED);
    assert!(line.contains("foreign-key"), "{line}");
    assert!(line.contains("pki/next/server.key"), "{line}");
    rotating
        .host
        .daemon
        .wait_for_metric("rotation_refusals", &[], 1);
    let refusal = rotating.report().refusal.unwrap();
    assert!(refusal.contains("pki/next/server.key"), "{refusal}");
    let readiness = rotating.host.readiness();
    assert_eq!(readiness.status(), 503);
    let text = String::from_utf8(readiness.body).unwrap();
    assert!(text.contains("root rotation"), "{text}");
    assert_eq!(rotating.announced().0, OLD_ANCHOR);
    for _ in 0..2 {
        assert!(rotating.accepts("127.0.1.1", OldRoot));
    }
    // Mended: the files are watched.
    write_next(&rotating.host.installation);
    rotating.host.daemon.wait_for("reloaded: new");
    rotating.host.daemon.wait_for_count("reloaded: new", 2);
    assert_eq!(rotating.announced().0, new_anchor_path());
    rotating.fetch_new("127.0.1.1");
    assert!(rotating.accepts("127.0.1.1", NewRoot));
    assert_eq!(rotating.host.readiness().status(), 200);
    rotating.step(Activated);
    assert_eq!(rotating.report().refusal, None);
}

#[test]
fn strictly_a_host_that_cannot_follow_does_not_start() {
    let mut rotating = Rotating::start();
    rotating.step(Published);
    rotating.report();
    let installation = rotating.stop();
    fs_err::remove_dir_all(installation.path("pki/next")).unwrap();
    let refused = run(program()
        .args(["serve", "--strict", "--config"])
        .arg(installation.path("config.toml")));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let text = refused.stderr_text();
    assert!(text.contains("pki/next/server.crt"), "{text}");
}

#[test]
fn what_is_in_force_stays_when_the_new_files_break_and_a_restart_serves_the_old_chain_loudly() {
    let mut rotating = Rotating::start();
    rotating.step(Activated);
    let installation = &rotating.host.installation;
    installation.write("pki/next/server.crt", &new_chain().server.pem);
    rotating.host.daemon.hang_up();
    rotating.host.daemon.wait_for(REFUSED);
    assert_eq!(rotating.announced().0, new_anchor_path());
    assert!(rotating.accepts("127.0.1.1", NewRoot));
    assert_eq!(rotating.host.readiness().status(), 200);

    let mut rotating = rotating.restart();
    rotating.host.daemon.wait_for(REFUSED);
    assert_eq!(rotating.announced().0, OLD_ANCHOR);
    assert!(rotating.accepts("127.0.1.2", OldRoot));
    assert_eq!(rotating.host.readiness().status(), 503);
}

#[test]
fn files_of_another_rotation_are_refused() {
    let installation = Host::installation("");
    write_next(&installation);
    installation.write("pki/next/server.crt", standard().pem());
    installation.write("pki/next/server.key", standard().server.key.pem());
    installation.write("pki/next/root.crt", &standard().root.pem);
    let mut rotating = Rotating::start_on(installation);
    rotating.step(Published);
    let line = rotating.host.daemon.wait_for(REFUSED);
    let (_, refusal) = line.split_once("mended: ").unwrap();
    let (refusal, _) = refusal.split_once(" code=").unwrap();
    let folder = rotating.host.installation.folder().to_str().unwrap();
    let mut shown = refusal.replace(folder, "[folder]");
    for chain in [standard(), new_chain()] {
        shown = shown.replace(&fingerprint(&chain.server.der).to_string(), "[fingerprint]");
    }
    insta::assert_snapshot!("foreign_next", format!("[foreign-next] {shown}"));
    assert_eq!(rotating.announced().0, OLD_ANCHOR);
}

#[test]
fn when_the_old_chain_is_retired_the_new_files_may_take_its_place_in_any_order() {
    let mut rotating = Rotating::start();
    rotating.step(Retiring);
    let installation = &rotating.host.installation;
    // Between two writes of `retire`: the chain is new, its key and the anchor are not.
    installation.write("pki/partner_server.pem", new_chain().pem());
    let mut rotating = rotating.restart();
    assert_eq!(rotating.announced().0, new_anchor_path());
    assert!(rotating.accepts("127.0.1.1", NewRoot));
    let installation = &rotating.host.installation;
    installation.write("pki/partner_server.key", new_chain().server.key.pem());
    let file = OLD_ANCHOR.trim_start_matches('/');
    installation.write(file, &new_chain().root.der);
    fs_err::remove_dir_all(installation.path("pki/next")).unwrap();
    rotating
        .host
        .daemon
        .wait_for("the new files are the configured ones");
    rotating.row.set(Retiring);
    assert!(rotating.report().is_swapped);
    assert_eq!(rotating.announced().0, OLD_ANCHOR);
    assert!(rotating.accepts("127.0.1.2", NewRoot));
    rotating.row.replace(None);
    rotating.host.daemon.wait_for("is over");
    assert!(rotating.accepts("127.0.1.3", NewRoot));
}
