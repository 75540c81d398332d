//! What TLS stacks do differently, as the daemon sees it.

use std::time::Duration;

use engage_device::fleet::{Activity, FleetReport};
use engage_device::{Alert, TlsStack};

use super::{Building, silent_stack, stack};
use crate::harness::{
    Certificate, Chain, Daemon, Installation, Key, Request, SITE_KEY_HEX, standard,
};

/// What a handful of devices need, of which nobody waits for the other.
const SOON: Duration = Duration::from_millis(200);

fn everybody(building: &mut Building, activity: Activity) -> FleetReport {
    building.run(activity, SOON, |_| true)
}

/// Another authority's chain, below a root that has another name.
fn other_chain() -> Chain {
    Chain::issue(|[_, _, root]| {
        "/O=Partner/CN=Partner CA 2".clone_into(&mut root.subject);
        root.key = Key::Foreign;
    })
}

/// A daemon that announces the root of `chain`, with the site key of all tests.
fn installation(chain: &Chain) -> Installation {
    let installation = Installation::new(chain).with_admin();
    installation.write("pki/site.key", SITE_KEY_HEX);
    installation
}

#[test]
fn a_device_says_what_its_stack_says_of_a_foreign_chain_then_asks_again_and_is_content() {
    let old_home = installation(standard());
    let old = Daemon::start(&old_home);
    let unsure = TlsStack {
        unknown_issuer: Alert::CertificateUnknown,
        ..stack("openssl")
    };
    for (stack, reason) in [
        (stack("mbedtls"), "unknown-ca"),
        (stack("wolfssl"), "unknown-ca"),
        (stack("openssl"), "unknown-ca"),
        (unsure, "bad-certificate"),
        (silent_stack(), "closed-after-certificate"),
    ] {
        let name = format!("{} {:?}", stack.name, stack.unknown_issuer);
        let new_home = installation(&other_chain());
        let mut new = Daemon::start(&new_home);
        let mut building = Building::new(4, vec![stack], false);
        building.visit(&[&old]);
        let report = everybody(&mut building, Activity::Commission);
        assert_eq!(report.commissioning.at_once, 4, "{name}: {report:#?}");
        assert_eq!(
            everybody(&mut building, Activity::CallIn).call_ins.at_once,
            4,
            "{name}"
        );
        building.visit(&[&new]);
        let report = everybody(&mut building, Activity::CallIn);
        assert!(report.is_good(), "{name}: {report:#?}");
        assert_eq!(report.call_ins.retried, 4, "{name}: {report:#?}");
        assert_eq!(report.failed_attempts["not-anchored"], 4);
        let failures = new
            .metrics()
            .sum("tls_handshake_failures_total", &[("reason", reason)]);
        assert_eq!(failures, 4, "{name}");
    }
}

#[test]
fn a_cross_signed_root_satisfies_stacks_that_stop_at_what_they_trust_and_not_those_that_begin_at_the_top()
 {
    let chain = other_chain();
    let cross = cross_signed(&chain.root, &standard().root);
    let old_home = installation(standard());
    let old = Daemon::start(&old_home);
    let spanning = installation(&chain);
    spanning.write("pki/partner_server.pem", chain.pem() + &cross.pem);
    let new = Daemon::start(&spanning);
    for (name, retried, failed) in [("mbedtls", 0, 0), ("openssl", 0, 0), ("wolfssl", 0, 4)] {
        let mut building = Building::new(4, vec![stack(name)], false);
        building.visit(&[&old]);
        everybody(&mut building, Activity::Commission);
        building.visit(&[&new]);
        let of_old_root = everybody(&mut building, Activity::CallIn).call_ins;
        assert_eq!((of_old_root.at_once, of_old_root.failed), (4, 0), "{name}");
        everybody(&mut building, Activity::Commission);
        let of_new_root = everybody(&mut building, Activity::CallIn).call_ins;
        assert_eq!(
            (of_new_root.retried, of_new_root.failed),
            (retried, failed),
            "{name}"
        );
    }
}

/// The name and key of `root`, certified by `issuer`.
fn cross_signed(root: &Certificate, issuer: &Certificate) -> Certificate {
    let mut request = Request::new("Partner CA 2", root.key, crate::harness::CA);
    request.serial = "1000000000000002";
    request.issued_by(issuer)
}
