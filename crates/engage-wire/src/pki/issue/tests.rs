use std::sync::OnceLock;

use super::*;
use crate::clock::add_days;
use crate::limits::TIGHT_CHAIN_BYTES;
use crate::pki::{PublicKey, ServerChain, SubjectAltName};

pub(super) const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);

/// Making keys is slow: one root and intermediate for all tests.
pub(super) fn authorities() -> &'static (CertifiedIssuer, CertifiedIssuer) {
    static AUTHORITIES: OnceLock<(CertifiedIssuer, CertifiedIssuer)> = OnceLock::new();
    AUTHORITIES.get_or_init(|| {
        let root = CertifiedIssuer::root(&validity_policy()).unwrap();
        let intermediate = root.issue_intermediate(&validity_policy()).unwrap();
        (root, intermediate)
    })
}

pub(super) fn validity_policy() -> ValidityPolicy {
    ValidityPolicy::new(NOW, None)
}

pub(super) fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_device_that_trusts_the_root_accepts_a_server_with_five_hosts() {
    let (root, intermediate) = authorities();
    let hosts = hosts(&[
        "a-rather-long-host-name.building-7.campus.example.com",
        "10.44.68.128",
        "2001:db8::1",
        "localhost",
        "127.0.0.1",
    ]);
    let server = intermediate
        .issue_server(&hosts, &validity_policy())
        .unwrap();
    let chain = ServerChain::parse(vec![
        server.certificate().clone(),
        intermediate.certificate().clone(),
    ])
    .unwrap();
    let path = chain.device_path(root.certificate(), None).unwrap();
    assert!(path.size() < TIGHT_CHAIN_BYTES, "{}", path.size());
    for (_, certificate) in path.roles() {
        assert_eq!(*certificate.key(), PublicKey::Rsa { bits: 2048 });
        assert_eq!(certificate.weak_signature(), None);
    }
    assert_eq!(
        server.certificate().alt_names(),
        [
            SubjectAltName::Dns(hosts[0].to_string()),
            SubjectAltName::Ip([10, 44, 68, 128].into()),
            SubjectAltName::Ip("2001:db8::1".parse().unwrap()),
            SubjectAltName::Dns("localhost".into()),
            SubjectAltName::Ip([127, 0, 0, 1].into()),
        ]
    );
}

#[test]
fn names_and_key_uses_are_what_strict_clients_expect() {
    let (root, intermediate) = authorities();
    let server = intermediate
        .issue_server(&hosts(&["10.44.68.128"]), &validity_policy())
        .unwrap();
    let subject = |name| format!("O=ENGAGE partner host, CN={name}");
    for (issued, name) in [
        (root, "partner_CA"),
        (intermediate, "partner_intermediate"),
        (&server, "10.44.68.128"),
    ] {
        assert_eq!(issued.certificate().subject(), subject(name));
        assert_eq!(issued.certificate().encoding_defect(), None);
        let extensions = issued.certificate().extensions();
        assert_eq!(extensions.unknown_critical, None);
        assert_eq!(extensions.malformed, None);
        assert!(extensions.subject_key_id.is_some());
        assert_eq!(extensions.authority_key_id.is_none(), name == "partner_CA");
        let is_server = name == "10.44.68.128";
        assert_eq!(extensions.is_ca, Some(!is_server));
        assert_eq!(extensions.certificate_sign, Some(!is_server));
        assert_eq!(extensions.digital_signature, Some(is_server));
        assert_eq!(extensions.server_auth, is_server.then_some(true));
        let is_intermediate = name == "partner_intermediate";
        assert_eq!(extensions.path_length, is_intermediate.then_some(0));
    }
    assert!(root.certificate().is_self_signed());
}

#[test]
fn nothing_outlives_its_issuer_whatever_was_asked_for() {
    let (root, intermediate) = authorities();
    let asked = ValidityPolicy::new(NOW, Some(36_500));
    let server = intermediate
        .issue_server(&hosts(&["a.example"]), &asked)
        .unwrap();
    let end = |issued: &CertifiedIssuer| issued.certificate().validity().not_after;
    assert_eq!(end(&server), end(intermediate));
    assert!(end(intermediate) <= end(root));
}

#[test]
fn an_expired_issuer_issues_nothing() {
    let (_, intermediate) = authorities();
    let late = ValidityPolicy::new(add_days(NOW, 4051), Some(10));
    let refused = intermediate.issue_server(&hosts(&["a.example"]), &late);
    assert!(matches!(refused, Err(IssueError::IssuerExpired { .. })));
}

#[test]
fn an_authority_can_be_taken_up_again_with_its_own_key_only() {
    let (root, intermediate) = authorities();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("intermediate.key");
    fs_err::write(&path, intermediate.key_pem().as_bytes()).unwrap();
    let adopt = |issued: &CertifiedIssuer| {
        CertifiedIssuer::from_existing(
            issued.certificate().clone(),
            PrivateKey::load(&path).unwrap(),
        )
    };
    assert!(matches!(adopt(root), Err(IssueError::ForeignKey { .. })));
    let server = adopt(intermediate)
        .unwrap()
        .issue_server(&hosts(&["a.example"]), &validity_policy())
        .unwrap();
    assert_eq!(
        server
            .certificate()
            .verify_issued_by(intermediate.certificate()),
        Ok(())
    );
}

#[test]
fn a_name_too_long_for_a_subject_still_stands_in_subject_alt_name() {
    let (_, intermediate) = authorities();
    let long = format!("{}.{}.example", "a".repeat(40), "b".repeat(40));
    let server = intermediate
        .issue_server(&hosts(&[&long]), &validity_policy())
        .unwrap();
    assert_eq!(
        server.certificate().subject(),
        "O=ENGAGE partner host, CN=partner_server"
    );
    assert_eq!(
        server.certificate().alt_names(),
        [SubjectAltName::Dns(long)]
    );
}

#[test]
fn keys_cannot_be_printed() {
    let (root, _) = authorities();
    let pem = root.key_pem();
    let line = pem.lines().nth(1).unwrap();
    assert!(!format!("{root:?}").contains(line));
}
