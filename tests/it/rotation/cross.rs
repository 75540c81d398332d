//! One chain for all devices: the new root, signed by the old one, at its end.

use engage_store::Overlap;
use engage_store::RotationStep::{Activated, Published, Retiring, Undoing};

use super::fixture::Trusted::{NewRoot, OldRoot};
use super::fixture::{Rotating, new_anchor_path, new_chain, write_next};
use crate::harness::{CA, Host, Key, Request, standard};

/// With `crossed` at the end of the new chain.
fn rotating(crossed: &str) -> Rotating {
    let installation = Host::installation("");
    write_next(&installation);
    let chain = format!("{}{crossed}", new_chain().pem());
    installation.write("pki/next/server.crt", chain);
    let mut rotating = Rotating::start_on(installation);
    rotating.row.overlap = Overlap::Cross;
    rotating
}

#[test]
fn with_a_cross_signed_root_every_address_is_shown_the_new_chain_and_accepts_it() {
    let new_root = Request::new("Partner CA 2", Key::Rsa(2048), CA);
    let crossed = new_root.issued_by(&standard().root);
    let mut rotating = rotating(&crossed.pem);
    for step in [Published, Activated, Undoing] {
        rotating.step(step);
        for trusted in [OldRoot, NewRoot, NewRoot, OldRoot] {
            assert!(rotating.accepts("127.0.1.1", trusted), "{step} {trusted:?}");
        }
        let is_new = rotating.announced().0 == new_anchor_path();
        assert_eq!(is_new, step != Undoing, "{step}");
    }
    rotating.step(Activated);
    rotating.step(Retiring);
    assert!(rotating.accepts("127.0.1.1", NewRoot));
}

#[test]
fn a_chain_without_the_cross_signed_root_is_refused_where_all_are_to_accept_it() {
    let mut rotating = rotating("");
    rotating.step(Published);
    let line = rotating
        .host
        .daemon
        .wait_for("this host does not follow the root rotation");
    assert!(line.contains("not-anchored"), "{line}");
    assert!(rotating.accepts("127.0.1.1", OldRoot));
}
