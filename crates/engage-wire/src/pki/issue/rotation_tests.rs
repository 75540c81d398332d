//! A second root beside the first, with OpenSSL as a judge.

use std::path::Path;
use std::process::Command;

use super::tests::{NOW, authorities, hosts, validity_policy};
use super::*;
use crate::clock::add_days;
use crate::limits::MAX_CHAIN_BYTES;
use crate::pki::device_profile::{DeviceProfile, Violation};

fn beside() -> NewAuthorities {
    let (root, intermediate) = authorities();
    let known = [root, intermediate].map(|it| it.certificate().clone());
    let hosts = hosts(&[
        "10.44.68.128",
        "doors.example.com",
        "localhost",
        "127.0.0.1",
    ]);
    NewAuthorities::issue(&known, &hosts, &validity_policy()).unwrap()
}

/// Whether OpenSSL, trusting only `anchor`, accepts the first of `sent`.
fn openssl_accepts(anchor: &Certificate, sent: &[&Certificate]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, certificates: &[&Certificate]| {
        let pem = certificates
            .iter()
            .map(|it| it.to_pem(crate::pki::LineEnding::LF));
        let path = folder.path().join(name);
        fs_err::write(&path, pem.collect::<String>()).unwrap();
        path
    };
    let [anchor, leaf] =
        [("anchor", anchor), ("leaf", sent[0])].map(|(name, it)| write(name, &[it]));
    let untrusted = write("untrusted", &sent[1..]);
    let verified = Command::new("openssl")
        .args(["verify", "-no-CApath", "-purpose", "sslserver", "-attime"])
        .arg(NOW.as_second().to_string())
        .args([
            Path::new("-CAfile"),
            &anchor,
            Path::new("-untrusted"),
            &untrusted,
            &leaf,
        ])
        .output()
        .unwrap();
    verified.status.success()
}

/// The bytes that a device counts that trusts only `anchor`, if it accepts what is sent, and nothing
/// but its size is held against it.
fn device_accepts(anchor: &Certificate, sent: &[&Certificate]) -> Option<usize> {
    let sent = sent.iter().map(|it| (*it).clone()).collect();
    let check = DeviceProfile::new(NOW).check_handshake(sent, anchor);
    let path = check.accepted?;
    let mut violations = check.violations.iter();
    let is_tight = |it: &Violation| matches!(it, Violation::ChainTight(_));
    violations.all(is_tight).then(|| path.size())
}

#[cfg_attr(windows, ignore = "Windows has no openssl")]
#[test]
fn each_chain_is_accepted_under_its_own_root_and_no_other() {
    let (old_root, old_intermediate) = authorities();
    let old = old_intermediate
        .issue_server(&hosts(&["10.44.68.128"]), &validity_policy())
        .unwrap();
    let new = beside();
    let chains = [
        (
            old_root,
            [old.certificate(), old_intermediate.certificate()],
        ),
        (
            &new.root,
            [new.server.certificate(), new.intermediate.certificate()],
        ),
    ];
    for (anchor, _) in &chains {
        for (issuer, sent) in &chains {
            let is_own = std::ptr::eq(*anchor, *issuer);
            assert_eq!(openssl_accepts(anchor.certificate(), sent), is_own);
            assert_eq!(device_accepts(anchor.certificate(), sent).is_some(), is_own);
        }
    }
}

#[cfg_attr(windows, ignore = "Windows has no openssl")]
#[test]
fn a_cross_signed_root_has_one_chain_accepted_under_both() {
    let (old_root, _) = authorities();
    let new = beside();
    let crossed = old_root.cross_sign(new.root.certificate(), NOW).unwrap();
    let sent = [
        new.server.certificate(),
        new.intermediate.certificate(),
        &crossed,
    ];
    for anchor in [old_root.certificate(), new.root.certificate()] {
        assert!(openssl_accepts(anchor, &sent));
        let size = device_accepts(anchor, &sent).unwrap();
        assert!(size < MAX_CHAIN_BYTES, "{size}");
    }
    // Without it, the old root's devices are locked out.
    assert!(!openssl_accepts(old_root.certificate(), &sent[..2]));
    assert_eq!(
        crossed.subject_public_key(),
        new.root.certificate().subject_public_key()
    );
    assert!(crossed.validity().not_after <= old_root.certificate().validity().not_after);
    assert!(!crossed.is_self_signed());
}

#[test]
fn an_expired_root_signs_no_other() {
    let (old_root, _) = authorities();
    let late = add_days(NOW, 4051);
    let refused = old_root.cross_sign(beside().root.certificate(), late);
    assert!(matches!(refused, Err(IssueError::IssuerExpired { .. })));
}

#[cfg_attr(windows, ignore = "Windows has no openssl")]
#[test]
fn a_root_of_openssl_with_a_name_of_many_kinds_is_copied_as_it_is_or_not_at_all() {
    let (old_root, _) = authorities();
    let root = |subject: &str| {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "/dev/null",
                "-days",
                "36500",
            ])
            .args(["-outform", "der", "-subj", subject])
            .output()
            .unwrap();
        Certificate::parse(made.stdout).unwrap()
    };
    let company = root("/C=DE/O=Müller & Söhne/emailAddress=pki@example.com/CN=Doors");
    let crossed = old_root.cross_sign(&company, NOW).unwrap();
    assert_eq!(crossed.subject(), company.subject());
    let repeated = root("/DC=com/DC=example/CN=Doors");
    let refused = old_root.cross_sign(&repeated, NOW);
    assert!(matches!(refused, Err(IssueError::NotCrossSigned { .. })));
}

#[test]
fn names_of_authorities_are_never_used_twice() {
    let (root, intermediate) = authorities();
    let mut known = vec![
        root.certificate().clone(),
        intermediate.certificate().clone(),
    ];
    for expected in ["2026-11", "2026-11-23", "2026-11-23 2", "2026-11-23 3"] {
        let name = format!("partner_intermediate {expected}");
        let next = root
            .issue_intermediate_beside(&known, &validity_policy())
            .unwrap();
        assert_eq!(next.certificate().common_name(), Some(&*name));
        known.push(next.certificate().clone());
    }
}
