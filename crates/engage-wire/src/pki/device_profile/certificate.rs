//! What is held against a certificate by itself.

use jiff::Timestamp;

use super::{CertificateName, Violation};
use crate::limits::{EXPIRY_WARNING_DAYS, MAX_KEY_BITS, MIN_RSA_BITS};
use crate::pki::{Certificate, PublicKey};

/// Time, key, signature, encoding and extensions.
pub(super) fn check(
    name: &CertificateName,
    certificate: &Certificate,
    now: Timestamp,
) -> Vec<Violation> {
    [
        check_time(name, certificate, now),
        check_key(name, certificate),
    ]
    .into_iter()
    .flatten()
    .chain(check_form(name, certificate))
    .collect()
}

fn check_time(
    name: &CertificateName,
    certificate: &Certificate,
    now: Timestamp,
) -> Option<Violation> {
    let certificate_name = name.clone();
    let validity = certificate.validity();
    if validity.is_over(now) {
        return Some(Violation::Expired {
            certificate: certificate_name,
            not_after: validity.not_after,
            now,
        });
    }
    if validity.is_early(now) {
        return Some(Violation::NotYetValid {
            certificate: certificate_name,
            not_before: validity.not_before,
            now,
        });
    }
    let days = validity.days_left(now);
    (days <= EXPIRY_WARNING_DAYS).then_some(Violation::ExpiresSoon {
        certificate: certificate_name,
        days,
        not_after: validity.not_after,
    })
}

fn check_key(name: &CertificateName, certificate: &Certificate) -> Option<Violation> {
    let (key, certificate) = (certificate.key().clone(), name.clone());
    match key {
        PublicKey::Rsa {
            bits: MIN_RSA_BITS..=MAX_KEY_BITS,
        } => None,
        PublicKey::Rsa { .. } => Some(Violation::KeySize { certificate, key }),
        PublicKey::Ec { .. } => Some(Violation::EcdsaKey { certificate, key }),
        PublicKey::Other { .. } => Some(Violation::UnsupportedKey { certificate, key }),
    }
}

fn check_form(name: &CertificateName, certificate: &Certificate) -> Vec<Violation> {
    let extensions = certificate.extensions();
    let name = || name.clone();
    let mut violations = Vec::new();
    if let Some(defect) = certificate.encoding_defect() {
        violations.push(Violation::NotDer {
            certificate: name(),
            defect,
        });
    }
    if let Some(oid) = extensions.malformed.clone() {
        violations.push(Violation::MalformedExtension {
            certificate: name(),
            oid,
        });
    }
    if let Some(oid) = extensions.unknown_critical.clone() {
        violations.push(Violation::UnknownCritical {
            certificate: name(),
            oid,
        });
    }
    if let Some(hash) = certificate.weak_signature() {
        violations.push(Violation::WeakSignature {
            certificate: name(),
            hash,
        });
    }
    violations
}

/// What strict TLS clients expect of a server certificate, and a device may one day.
pub(super) fn check_server(name: &CertificateName, leaf: &Certificate) -> Vec<Violation> {
    let extensions = leaf.extensions();
    let certificate = || name.clone();
    let mut violations = Vec::new();
    if extensions.is_ca == Some(true) {
        violations.push(Violation::ServerIsCa {
            certificate: certificate(),
        });
    }
    let missing: Vec<_> = [
        (extensions.server_auth.is_none(), "extKeyUsage"),
        (extensions.subject_key_id.is_none(), "subjectKeyIdentifier"),
        (
            extensions.authority_key_id.is_none(),
            "authorityKeyIdentifier",
        ),
        (extensions.digital_signature.is_none(), "keyUsage"),
    ]
    .into_iter()
    .filter_map(|(is_missing, extension)| is_missing.then_some(extension))
    .collect();
    if !missing.is_empty() {
        violations.push(Violation::MissingExtensions {
            certificate: certificate(),
            missing: missing.join(", "),
        });
    }
    for (allowed, use_name) in [
        (extensions.server_auth, "serverAuth in extKeyUsage"),
        (extensions.digital_signature, "digitalSignature in keyUsage"),
        (extensions.netscape_server, "server in nsCertType"),
    ] {
        if allowed == Some(false) {
            violations.push(Violation::WrongKeyUse {
                certificate: certificate(),
                use_name,
            });
        }
    }
    violations
}
