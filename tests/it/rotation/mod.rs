//! What a daemon serves while the root is being changed, and to whom; OpenSSL's own client is the
//! judge, once with the old root as all that it trusts and once with the new one.

mod cross;
mod fixture;
mod hosts;
mod ledger;
mod next;

use std::sync::Arc;

use engage_store::RotationStep::{Activated, Prepared, Published, Retiring, Undoing};
use engage_wire::site::SiteKey;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::harness::{connect_from, get, standard, trusting};
use fixture::Trusted::{NewRoot, OldRoot};
use fixture::{Rotating, new_anchor_path, new_chain};

const OLD_ANCHOR: &str = "/static/Device_Certificates/partner_CA.der";

#[test]
fn each_step_announces_and_serves_what_devices_can_verify() {
    let mut rotating = Rotating::start();
    rotating.step(Prepared);
    let old = rotating.announced();
    assert_eq!(old.0, OLD_ANCHOR);
    assert_eq!(
        get(rotating.host.daemon.http, &new_anchor_path()).status(),
        404
    );
    assert!(rotating.accepts("127.0.1.1", OldRoot));
    for _ in 0..3 {
        assert!(!rotating.accepts("127.0.1.2", NewRoot));
    }

    rotating.step(Published);
    let new = rotating.announced();
    assert_eq!(new.0, new_anchor_path());
    let key = SiteKey::load(&rotating.host.installation.path("pki/site.key")).unwrap();
    let hash = key.announcement_hash(&new_chain().root.der);
    assert_eq!(new.1, hash.to_string());
    for (path, chain) in [(OLD_ANCHOR, standard()), (new.0.as_str(), new_chain())] {
        assert_eq!(get(rotating.host.daemon.http, path).body, chain.root.der);
    }
    // Unknown addresses get the old chain; who has fetched gets the new one.
    assert!(rotating.accepts("127.0.2.1", OldRoot));
    rotating.fetch_new("127.0.2.2");
    assert!(rotating.accepts("127.0.2.2", NewRoot));
    assert!(rotating.accepts("127.0.2.2", NewRoot));

    rotating.step(Activated);
    assert_eq!(rotating.announced(), new);
    assert!(rotating.accepts("127.0.3.1", NewRoot));
    // What worked is remembered.
    assert!(rotating.accepts("127.0.2.1", OldRoot));
    assert!(rotating.accepts("127.0.2.2", NewRoot));

    rotating.step(Undoing);
    assert_eq!(rotating.announced(), old);
    assert_eq!(get(rotating.host.daemon.http, &new.0).status(), 200);
    assert!(rotating.accepts("127.0.4.1", OldRoot));
    assert!(rotating.accepts("127.0.3.1", NewRoot));

    rotating.step(Activated);
    rotating.step(Retiring);
    assert_eq!(rotating.announced(), new);
    for _ in 0..3 {
        assert!(!rotating.accepts("127.0.2.1", OldRoot));
    }
    assert!(rotating.accepts("127.0.4.1", NewRoot));

    rotating.row.replace(None);
    rotating
        .host
        .daemon
        .wait_for("is over: the configured chain is served alone");
    assert_eq!(rotating.announced(), old);
    assert!(rotating.accepts("127.0.3.1", OldRoot));
}

#[test]
fn after_a_handshake_that_failed_an_address_is_shown_the_other_chain_and_what_worked_is_remembered()
{
    let mut rotating = Rotating::start();
    rotating.step(Published);
    for version in ["-tls1_2", "-tls1_3"] {
        let address = if version == "-tls1_2" {
            "127.0.1.1"
        } else {
            "127.0.1.2"
        };
        let ask = |rotating: &Rotating| rotating.s_client(address, NewRoot, &["-quiet", version]);
        assert_ne!(ask(&rotating).code, Some(0), "{version}");
        rotating
            .host
            .daemon
            .wait_for(&format!("handshake with {address}"));
        for _ in 0..2 {
            let asked = ask(&rotating);
            assert_eq!(asked.code, Some(0), "{version}: {asked:?}");
        }
    }
    let line = rotating
        .host
        .daemon
        .wait_for("127.0.1.1 is shown the new chain");
    assert!(line.contains("did not accept the old one"), "{line}");
    // And by who restarts.
    let mut rotating = rotating.restart();
    rotating.step(Activated);
    rotating.step(Published);
    assert!(rotating.accepts("127.0.1.1", NewRoot));
    assert!(rotating.accepts("127.0.1.3", OldRoot));
    for (chain, reason) in [("new", "verified"), ("old", "step")] {
        let labels = [("chain", chain), ("reason", reason)];
        let metric = "rotation_selections_total";
        rotating.host.daemon.wait_for_metric(metric, &labels, 1);
    }
}

#[test]
fn who_is_refused_and_comes_again_at_once_is_shown_the_other_chain() {
    let mut rotating = Rotating::start();
    rotating.step(Published);
    let config = trusting(&new_chain().root.der);
    let https = rotating.host.daemon.https;
    let connect = |address: [u8; 4]| {
        let name = ServerName::from(https.ip());
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        (session, connect_from(address, https))
    };
    for address in (1..=40).map(|it| [127, 0, 6, it]) {
        let [(mut refusing, mut first), (mut again, mut second)] =
            [(); 2].map(|()| connect(address));
        refusing.write_tls(&mut first).unwrap();
        first.peek(&mut [0]).unwrap();
        // So soon that its hello is there before it is read that the first did not accept the chain.
        again.write_tls(&mut second).unwrap();
        assert!(refusing.complete_io(&mut first).is_err(), "{address:?}");
        drop(first);
        again.complete_io(&mut second).unwrap();
        assert!(!again.is_handshaking(), "{address:?}");
    }
}

#[test]
fn a_session_of_the_old_chain_is_not_resumed_under_the_new_one() {
    let mut rotating = Rotating::start();
    rotating.step(Published);
    for (version, address) in [("-tls1_2", "127.0.1.1"), ("-tls1_3", "127.0.1.2")] {
        let session = rotating.client_file("session");
        let session = session.to_str().unwrap();
        let ask = |trusted, option| {
            let args = [version, "-ign_eof", option, session];
            let asked = rotating.s_client(address, trusted, &args);
            assert_eq!(asked.code, Some(0), "{version}: {asked:?}");
            asked.stdout_text()
        };
        assert!(ask(OldRoot, "-sess_out").contains("New, TLS"));
        assert!(ask(OldRoot, "-sess_in").contains("Reused, TLS"));
        rotating.fetch_new(address);
        assert!(ask(NewRoot, "-sess_in").contains("New, TLS"));
    }
}
