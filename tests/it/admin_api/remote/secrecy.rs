//! The token on its way: over TLS, from a file of its owner's, and never shown.

use super::super::Api;
use super::{There, host, refusals};
use crate::harness::{Daemon, Installation, Role, make_admin_identity, standard};

/// A host whose admin listener has a certificate for `localhost`, made by openssl.
fn tls_host() -> (Installation, Daemon, There) {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(Role::Write);
    make_admin_identity(&installation, "admin", "admin");
    installation.set(
        "[admin]",
        "certificate = \"admin.pem\"\nprivate_key = \"admin.key\"",
    );
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin_tls();
    let mut there = There::new(&installation, &Api { address, token });
    there.url = format!("https://localhost:{}", address.port());
    (installation, daemon, there)
}

#[test]
fn https_takes_what_the_file_of_authorities_signs_and_nothing_else() {
    let (installation, _daemon, there) = tls_host();
    let with = |name: &str| {
        let file = installation.path(name);
        there.run(&[
            "sites",
            "list",
            "--json",
            "--ca-file",
            file.to_str().unwrap(),
        ])
    };
    let listed = with("admin.pem");
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout_text().contains("Main Office"));
    assert_eq!(listed.stderr_text(), "");
    make_admin_identity(&installation, "other", "other");
    assert_eq!(refusals(&with("other.pem")), ["server-unanswered"]);
    let without = there.run(&["sites", "list", "--json"]);
    let codes = refusals(&without);
    // A system without authorities of its own has nothing to verify with.
    assert!(
        codes == ["server-unanswered"] || codes == ["no-authority"],
        "{codes:?}"
    );
    installation.write("not.pem", "nothing of the kind");
    assert_eq!(refusals(&with("not.pem")), ["ca-file-malformed"]);
    assert_eq!(refusals(&with("absent.pem")), ["unreadable-file"]);
}

#[test]
fn the_name_in_the_certificate_is_the_one_that_is_asked() {
    let (installation, _daemon, mut there) = tls_host();
    there.url = there.url.replace("localhost", "127.0.0.1");
    let file = installation.path("admin.pem");
    let listed = there.run(&["sites", "list", "--ca-file", file.to_str().unwrap()]);
    assert_eq!(listed.code, Some(1));
    let said = listed.stderr_text();
    assert!(said.contains("no TLS with 127.0.0.1:"), "{said}");
}

#[test]
fn the_token_is_never_shown() {
    let (host, there) = host("");
    let token = fs_err::read_to_string(&there.token_file).unwrap();
    let token = token.trim();
    for args in [
        &["devices"][..],
        &["devices", "show", "FF00000000000001"],
        &["sites", "list", "--json"],
    ] {
        let mut command = there.command(args);
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        let finished = crate::harness::run(&mut command);
        let said = finished.stdout_text() + &finished.stderr_text();
        assert!(!said.contains(&token[8..24]), "{said}");
    }
    // A file with something else in it is not quoted either.
    for contents in ["hunter22", &format!("{token}\n{token}\n"), "engage_"] {
        host.installation.write("another-host.token", contents);
        let refused = there.run(&["devices", "--json"]);
        assert_eq!(refused.code, Some(1));
        assert_eq!(refusals(&refused), ["no-token"]);
        let said = refused.stdout_text();
        assert!(!said.contains("hunter22"), "{said}");
        assert!(!said.contains(&token[8..24]), "{said}");
    }
    host.installation.remove("another-host.token");
    let refused = there.run(&["devices", "--json"]);
    assert_eq!(refusals(&refused), ["unreadable-file"]);
}

#[test]
fn a_token_that_others_can_read_here_or_on_the_way_is_warned_of() {
    let (host, mut there) = host("");
    let quiet = there.run(&["sites", "list"]);
    assert_eq!((quiet.code, &*quiet.stderr_text()), (Some(0), ""));
    host.installation.chmod("another-host.token", 0o644);
    let listed = there.run(&["sites", "list"]);
    assert_eq!(listed.code, Some(0));
    let said = listed.stderr_text();
    assert!(said.contains("has mode 0644: other users"), "{said}");
    host.installation.chmod("another-host.token", 0o600);
    // This computer by another address than loopback.
    there.url = there.url.replace("127.0.0.1", "0.0.0.0");
    let said = there.run(&["sites", "list"]).stderr_text();
    assert!(said.starts_with("warning: the token goes to"), "{said}");
}
