//! A bad change leaves the old state in force, says which file and why, and is counted.

use super::{ANCHOR, assert_in_force, files};
use crate::harness::{Certificate, Chain, Daemon, Installation, Key, standard};
use crate::limits::chain_of;

/// Spoils the files of a running daemon: the log names `file` and says `reason`.
fn assert_refused(file: &str, reason: &str, spoil: impl FnOnce(&Installation)) {
    // Signals alone: the watch would report the same again.
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::start(&installation);
    spoil(&installation);
    daemon.hang_up();
    let line = daemon.wait_for("reload refused, the previous state stays in force: ");
    assert!(line.contains("ERROR"), "{line}");
    assert!(
        line.contains(installation.path(file).to_str().unwrap()),
        "{line}"
    );
    assert!(line.contains(reason), "{line}");
    daemon.wait_for_metric("reloads_total", &[("result", "failure")], 1);
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("reloads_total", &[("result", "success")]), 0);
    mend(&installation);
    assert_in_force(&daemon, &installation, standard());
}

/// Writes everything as it was at the start.
fn mend(installation: &Installation) {
    for (name, contents) in files(standard()) {
        installation.write(name, contents);
    }
    let whole = Installation::new(standard()).with_admin();
    let config = fs_err::read(whole.path("config.toml")).unwrap();
    installation.write("config.toml", config);
    installation.write(
        "pki/site.key",
        fs_err::read(whole.path("pki/site.key")).unwrap(),
    );
}

const CHAIN: &str = "pki/partner_server.pem";
const KEY: &str = "pki/partner_server.key";

#[test]
fn a_truncated_certificate() {
    let pem = standard().pem();
    assert_refused(CHAIN, "PEM", |installation| {
        installation.write(CHAIN, &pem[..pem.len() / 4]);
    });
}

#[test]
fn an_empty_certificate() {
    assert_refused(CHAIN, "empty", |installation| installation.write(CHAIN, ""));
}

#[test]
fn a_key_of_another_certificate() {
    assert_refused(
        KEY,
        "it does not belong to the server certificate",
        |installation| {
            installation.write(KEY, Key::Foreign.pem());
        },
    );
}

#[test]
fn a_certificate_of_another_key() {
    let renewed = Chain::issue(|[server, ..]| server.key = Key::Foreign);
    assert_refused(
        KEY,
        "it does not belong to the server certificate",
        |installation| {
            installation.write(CHAIN, renewed.pem());
            installation.write(ANCHOR, &renewed.root.der);
        },
    );
}

#[test]
fn a_chain_of_4097_bytes() {
    let chain = chain_of(4097);
    assert_refused(CHAIN, "has 4097 bytes", |installation| {
        installation.write(CHAIN, chain.pem());
        installation.write(ANCHOR, &chain.root.der);
    });
}

#[test]
fn deleted_files() {
    for file in [CHAIN, KEY, ANCHOR, "pki/site.key", "config.toml"] {
        assert_refused(file, "No such file", |installation| {
            installation.remove(file);
        });
    }
}

#[test]
fn an_expired_certificate() {
    let expired = Chain::issue(|[server, ..]| server.days = (-30, -2));
    assert_refused(CHAIN, "expired", |installation| {
        installation.write(CHAIN, expired.pem());
        installation.write(ANCHOR, &expired.root.der);
    });
}

#[test]
fn an_anchor_that_the_chain_does_not_lead_to() {
    let stranger: Certificate = Chain::issue(|[.., root]| root.key = Key::Foreign).root;
    assert_refused(CHAIN, "and not at the announced", |installation| {
        installation.write(ANCHOR, &stranger.der);
    });
}

#[test]
fn a_site_key_of_another_length() {
    assert_refused("pki/site.key", "it has 31 bytes", |installation| {
        installation.write("pki/site.key", [1; 31]);
    });
}

#[test]
fn a_configuration_that_is_not_toml() {
    assert_refused("config.toml", "cannot be used", |installation| {
        installation.edit("[https]", "[https");
    });
}

#[test]
fn a_configuration_with_an_unknown_key() {
    assert_refused("config.toml", "unknown field `htps`", |installation| {
        installation.edit("[https]", "[htps]");
    });
}

#[test]
fn a_mended_reload_is_put_in_force_without_being_asked() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    installation.remove(KEY);
    daemon.wait_for("reload refused");
    installation.write(KEY, Key::Server.pem());
    daemon.wait_for("reloaded: new connections get the new state");
    assert_in_force(&daemon, &installation, standard());
}
