//! Who has which trust anchor, as the store knows it.

use std::io::Write;

use engage_store::RotationStep::Published;
use engage_store::{Adoption, AdoptionQuery, Evidence};
use engage_wire::pki::Fingerprint;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::fixture::Trusted::NewRoot;
use super::fixture::{ANNOUNCEMENT, Rotating, fingerprint, new_anchor_path, new_chain};
use crate::harness::{connect_from, get_from, read_answer, request, standard, trusting};

const DEVICE: &str = "0123456789ABCDEF";
const AT: [u8; 4] = [127, 0, 1, 1];

/// What is known of the device once the daemon has written everything.
fn adoption(rotating: Rotating) -> (Adoption, Rotating) {
    let rotating = rotating.restart();
    let page = rotating.row.reader().adoption(&AdoptionQuery::default());
    let mut devices = page.unwrap().devices.into_iter();
    let found = devices.find(|it| it.device.to_string() == DEVICE).unwrap();
    (found, rotating)
}

fn anchor(evidence: Option<Evidence>) -> Option<Fingerprint> {
    evidence.map(|it| it.fingerprint)
}

/// The device calls in, and trusts only this root.
pub(super) fn call_in(rotating: &Rotating, root: &[u8], serial: &str) {
    let https = rotating.host.daemon.https;
    let session = ClientConnection::new(trusting(root), ServerName::from(https.ip())).unwrap();
    let mut stream = StreamOwned::new(session, connect_from(AT, https));
    let body = br#"{"asyncEvents":[{"event":"11111111","time":"20261123021259"}]}"#;
    let audit = format!("/swordfish/lock/audit?sn={serial}");
    stream
        .write_all(&request("POST", &audit, "", body))
        .unwrap();
    assert!([201, 202].contains(&read_answer(&mut stream).status()));
}

#[test]
fn what_a_device_was_told_fetched_and_verified_is_known_with_and_without_a_rotation() {
    let rotating = Rotating::start();
    let (old, new) = (&standard().root.der, &new_chain().root.der);
    let ask = |rotating: &Rotating, target: &str| {
        let target = format!("{target}?sn={DEVICE}");
        assert_eq!(
            get_from(AT, rotating.host.daemon.http, &target).status(),
            200
        );
    };
    ask(&rotating, ANNOUNCEMENT);
    call_in(&rotating, old, DEVICE);
    let (known, mut rotating) = adoption(rotating);
    assert_eq!(anchor(known.adopted.told), Some(fingerprint(old)));
    assert_eq!(anchor(known.adopted.verified), Some(fingerprint(old)));
    assert_eq!(anchor(known.adopted.fetched), None);
    assert_eq!(known.site.as_deref(), Some("Main Office"));

    rotating.step(Published);
    ask(&rotating, ANNOUNCEMENT);
    ask(&rotating, &new_anchor_path());
    let (known, mut rotating) = adoption(rotating);
    let labels = [("site", "Main Office"), ("state", "fetched")];
    rotating
        .host
        .daemon
        .wait_for_metric("rotation_devices", &labels, 1);
    assert_eq!(anchor(known.adopted.told), Some(fingerprint(new)));
    assert_eq!(anchor(known.adopted.fetched), Some(fingerprint(new)));
    assert_eq!(anchor(known.adopted.verified), Some(fingerprint(old)));

    call_in(&rotating, new, DEVICE);
    let (known, _) = adoption(rotating);
    assert_eq!(anchor(known.adopted.verified), Some(fingerprint(new)));
    assert_eq!(anchor(known.adopted.failed), None);
}

#[test]
fn a_handshake_that_failed_is_known_with_the_anchor_and_the_reason() {
    let mut rotating = Rotating::start();
    rotating.step(Published);
    call_in(&rotating, &standard().root.der, DEVICE);
    assert!(!rotating.accepts("127.0.1.1", NewRoot));
    let (known, _) = adoption(rotating);
    let old = Some(fingerprint(&standard().root.der));
    assert_eq!(anchor(known.adopted.failed), old);
    assert_eq!(anchor(known.adopted.verified), old);
    assert_eq!(known.adopted.failure.as_deref(), Some("unknown-ca"));
}
