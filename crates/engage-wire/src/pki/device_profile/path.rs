//! What is held against the path from the server certificate to the one that a device trusts:
//! what OpenSSL's `X509_verify_cert` looks at beyond names, signatures and dates.

use super::{Defect, DeviceProfile, Violation};
use crate::pki::{AuthorityKeyId, Certificate, NameConstraints, Role, ServerChain};

/// Each link, and each issuer with all that lies below it.
pub(super) fn check(
    profile: &DeviceProfile<'_>,
    chain: &ServerChain,
    anchor: &Certificate,
) -> Vec<Violation> {
    let path = chain.path_to(anchor);
    let name = |at: usize| profile.name(Role::at(at, path[at]), path[at]);
    let mut violations = Vec::new();
    for (at, issuer) in path.iter().enumerate().skip(1) {
        if let Some(part) = other_issuer(path[at - 1], issuer) {
            let issuer = name(at);
            let defect = Defect::KeyIdentifier { part, issuer };
            violations.push(Violation::Certificate(name(at - 1), defect));
        }
        let defects = issuer_defects(issuer, &path[..at]);
        violations.extend(defects.map(|defect| Violation::Certificate(name(at), defect)));
    }
    violations
}

/// What of the issuer is another than `certificate` says of it. Key identifiers are how OpenSSL
/// picks an issuer: one that contradicts them is none to it (`X509_check_akid`).
fn other_issuer(certificate: &Certificate, issuer: &Certificate) -> Option<&'static str> {
    let AuthorityKeyId {
        key_id,
        issuer: issuers_issuer,
        serial,
    } = certificate.extensions().authority_key_id.as_ref()?;
    let subject_key_id = issuer.extensions().subject_key_id.as_ref();
    let key_ids = key_id.as_ref().zip(subject_key_id);
    if key_ids.is_some_and(|(own, other)| own != other) {
        Some("key identifier")
    } else if serial.as_ref().is_some_and(|own| own != issuer.serial()) {
        Some("serial number")
    } else {
        let mut own = issuers_issuer.iter();
        own.any(|own| own != issuer.issuer_name())
            .then_some("issuer's issuer")
    }
}

/// What an issuer says of itself and of what it may issue. `below` ends with what it issued.
fn issuer_defects(issuer: &Certificate, below: &[&Certificate]) -> impl Iterator<Item = Defect> {
    let extensions = issuer.extensions();
    let issuers_below = below.iter().skip(1);
    let found = issuers_below.filter(|it| !it.is_self_issued()).count();
    let path_length = extensions.path_length.filter(|it| found > *it as usize);
    // Version 1 roots have no extensions, and every device trusts them all the same.
    let is_ca = extensions.is_ca.unwrap_or(issuer.is_self_signed());
    let is_issuer = is_ca && extensions.certificate_sign != Some(false);
    let constraints = extensions.name_constraints.as_ref();
    let forbidden = constraints.and_then(|it| forbidden_name(it, below));
    [
        path_length.map(|allowed| Defect::PathLength { allowed, found }),
        (!is_issuer).then_some(Defect::IssuerNotCa),
        (extensions.server_auth == Some(false)).then_some(Defect::IssuerKeyUse),
        forbidden.map(Defect::NameConstraints),
    ]
    .into_iter()
    .flatten()
}

/// A certificate that only renews its issuer's key bears its issuer's name, which is no name below.
fn forbidden_name(constraints: &NameConstraints, below: &[&Certificate]) -> Option<String> {
    let mut below = below.iter().enumerate();
    below.find_map(|(at, it)| {
        (at == 0 || !it.is_self_issued()).then(|| constraints.forbidden_name(it))?
    })
}
