//! What is held against the path from the server certificate to the one that a device trusts:
//! what OpenSSL's `X509_verify_cert` looks at beyond names, signatures and dates.

use super::{DeviceProfile, Violation};
use crate::pki::{AuthorityKeyId, Certificate, Role, ServerChain};

/// Each link, and each issuer with all that lies below it.
pub(super) fn check(
    profile: &DeviceProfile<'_>,
    chain: &ServerChain,
    anchor: &Certificate,
) -> Vec<Violation> {
    let path = chain.path_to(anchor);
    let mut violations = Vec::new();
    for (at, issuer) in path.iter().enumerate().skip(1) {
        let role = Role::at(at, issuer);
        let below = &path[..at];
        violations.extend(check_key_identifier(profile, at - 1, below[at - 1], issuer));
        violations.extend(check_issuer(profile, role, issuer, below));
    }
    violations
}

/// Key identifiers are how OpenSSL picks an issuer: one that contradicts them is none to it
/// (`X509_check_akid`).
fn check_key_identifier(
    profile: &DeviceProfile<'_>,
    at: usize,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Option<Violation> {
    let AuthorityKeyId {
        key_id,
        issuer: issuers_issuer,
        serial,
    } = certificate.extensions().authority_key_id.as_ref()?;
    let subject_key_id = issuer.extensions().subject_key_id.as_ref();
    let part = if key_id
        .as_ref()
        .zip(subject_key_id)
        .is_some_and(|(own, other)| own != other)
    {
        "key identifier"
    } else if serial.as_ref().is_some_and(|own| own != issuer.serial()) {
        "serial number"
    } else if issuers_issuer
        .as_ref()
        .is_some_and(|own| own != issuer.issuer_name())
    {
        "issuer's issuer"
    } else {
        return None;
    };
    Some(Violation::KeyIdentifier {
        certificate: profile.name(Role::at(at, certificate), certificate),
        part,
        issuer: profile.name(Role::at(at + 1, issuer), issuer),
    })
}

/// What an issuer says of itself and of what it may issue. `below` ends with what it issued.
fn check_issuer(
    profile: &DeviceProfile<'_>,
    role: Role,
    issuer: &Certificate,
    below: &[&Certificate],
) -> Vec<Violation> {
    let extensions = issuer.extensions();
    let certificate = || profile.name(role, issuer);
    let mut violations = Vec::new();
    let found = below
        .iter()
        .skip(1)
        .filter(|it| !it.is_self_issued())
        .count();
    if let Some(allowed) = extensions.path_length
        && found > usize::try_from(allowed).unwrap_or(usize::MAX)
    {
        violations.push(Violation::PathLength {
            certificate: certificate(),
            allowed,
            found,
        });
    }
    // Version 1 roots have no extensions, and every device trusts them all the same.
    let is_old_root = role == Role::Root && extensions.is_ca.is_none();
    let is_ca = extensions.is_ca == Some(true) || is_old_root;
    if !is_ca || extensions.certificate_sign == Some(false) {
        violations.push(Violation::IssuerNotCa {
            certificate: certificate(),
        });
    }
    if extensions.server_auth == Some(false) {
        violations.push(Violation::IssuerKeyUse {
            certificate: certificate(),
        });
    }
    let forbidden = extensions
        .name_constraints
        .as_ref()
        .and_then(|constraints| {
            let mut below = below.iter().enumerate();
            // A certificate that only renews its issuer's key bears its issuer's name.
            below.find_map(|(at, it)| {
                (at == 0 || !it.is_self_issued()).then(|| constraints.forbidden_name(it))?
            })
        });
    if let Some(name) = forbidden {
        violations.push(Violation::NameConstraints {
            certificate: certificate(),
            name,
        });
    }
    violations
}
