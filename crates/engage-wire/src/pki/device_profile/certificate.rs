//! What is held against a certificate by itself.

use jiff::Timestamp;

use super::Defect;
use crate::limits::{MAX_KEY_BITS, MIN_RSA_BITS};
use crate::pki::{Certificate, PublicKey, Role, Validity};

/// Time, key, encoding, extensions and signature.
pub(super) fn defects(
    role: Role,
    certificate: &Certificate,
    now: Timestamp,
) -> impl Iterator<Item = Defect> {
    let extensions = certificate.extensions();
    let malformed = extensions.malformed.clone();
    let unknown = extensions.unknown_critical.clone();
    [
        time_defect(role, certificate.validity(), now),
        key_defect(certificate.key()),
        certificate.encoding_defect().map(Defect::NotDer),
        malformed.map(Defect::MalformedExtension),
        unknown.map(Defect::UnknownCritical),
        certificate.weak_signature().map(Defect::WeakSignature),
    ]
    .into_iter()
    .flatten()
}

fn time_defect(role: Role, validity: Validity, now: Timestamp) -> Option<Defect> {
    let Validity {
        not_before,
        not_after,
    } = validity;
    if validity.is_over(now) {
        return Some(Defect::Expired {
            role,
            not_after,
            now,
        });
    }
    if validity.is_early(now) {
        return Some(Defect::NotYetValid { not_before, now });
    }
    let days = validity.days_left(now);
    let expires_soon = validity.expires_soon(now);
    expires_soon.then_some(Defect::ExpiresSoon { days, not_after })
}

fn key_defect(key: &PublicKey) -> Option<Defect> {
    match key {
        PublicKey::Rsa {
            bits: MIN_RSA_BITS..=MAX_KEY_BITS,
        } => None,
        PublicKey::Rsa { .. } => Some(Defect::KeySize(key.clone())),
        PublicKey::Ec { .. } => Some(Defect::EcdsaKey(key.clone())),
        PublicKey::Other { .. } => Some(Defect::UnsupportedKey(key.clone())),
    }
}

/// What strict TLS clients expect of a server certificate, and a device may one day.
pub(super) fn server_defects(leaf: &Certificate) -> impl Iterator<Item = Defect> {
    let extensions = leaf.extensions();
    let authority_key_id = &extensions.authority_key_id;
    let missing: Vec<_> = [
        (extensions.server_auth.is_none(), "extKeyUsage"),
        (extensions.subject_key_id.is_none(), "subjectKeyIdentifier"),
        (authority_key_id.is_none(), "authorityKeyIdentifier"),
        (extensions.digital_signature.is_none(), "keyUsage"),
    ]
    .into_iter()
    .filter_map(|(is_missing, extension)| is_missing.then_some(extension))
    .collect();
    let wrong_uses = [
        (extensions.server_auth, "serverAuth in extKeyUsage"),
        (extensions.digital_signature, "digitalSignature in keyUsage"),
        (extensions.netscape_server, "server in nsCertType"),
    ]
    .into_iter()
    .filter(|(allowed, _)| *allowed == Some(false));
    let is_ca = extensions.is_ca == Some(true);
    [
        is_ca.then_some(Defect::ServerIsCa),
        (!missing.is_empty()).then(|| Defect::MissingExtensions(missing.join(", "))),
    ]
    .into_iter()
    .flatten()
    .chain(wrong_uses.map(|(_, use_name)| Defect::WrongKeyUse(use_name)))
}
