//! Whether one key signed one certificate.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey,
};
use x509_parser::error::X509Error;
use x509_parser::oid_registry::{
    OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_RSASSAPSS,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA512WITHRSA,
};
use x509_parser::prelude::{SubjectPublicKeyInfo, X509Certificate};
use x509_parser::signature_algorithm::RsaSsaPssParams;

use super::LinkError;

/// Verifies that the key of `issuer` signed `certificate`.
pub(super) fn verify_signature(
    certificate: &X509Certificate<'_>,
    issuer: &SubjectPublicKeyInfo<'_>,
) -> Result<(), LinkError> {
    certificate
        .verify_signature(Some(issuer))
        .or_else(|error| match error {
            X509Error::SignatureUnsupportedAlgorithm => Err(LinkError::Unsupported),
            _ if let Some(found) = unusual_pss_salt(certificate) => {
                Err(LinkError::PssSalt { found })
            }
            _ if verifies_under_short_key(certificate, issuer) => Ok(()),
            _ => Err(LinkError::Signature),
        })
}

/// The bytes of salt of an RSA-PSS signature, unless they are as many as those of the hash: the
/// crypto library verifies no others, and takes them for a wrong signature.
fn unusual_pss_salt(certificate: &X509Certificate<'_>) -> Option<u32> {
    let algorithm = &certificate.signature_algorithm;
    let is_pss = algorithm.algorithm == OID_PKCS1_RSASSAPSS;
    let parameters = algorithm.parameters.as_ref().filter(|_| is_pss)?;
    let parameters = RsaSsaPssParams::try_from(parameters).ok()?;
    let hash = parameters.hash_algorithm_oid();
    let hash_bytes = [
        (OID_NIST_HASH_SHA256, 32),
        (OID_NIST_HASH_SHA384, 48),
        (OID_NIST_HASH_SHA512, 64),
    ];
    let usual = hash_bytes.iter().find(|(oid, _)| oid == hash)?.1;
    Some(parameters.salt_length()).filter(|found| *found != usual)
}

/// The parser takes every signature of an RSA key below 2048 bits for a wrong one. Such a key is
/// refused for its size, and the reader must not be told that it is another key.
fn verifies_under_short_key(
    certificate: &X509Certificate<'_>,
    issuer: &SubjectPublicKeyInfo<'_>,
) -> bool {
    let algorithm = &certificate.signature_algorithm.algorithm;
    let verification = if *algorithm == OID_PKCS1_SHA256WITHRSA {
        &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
    } else if *algorithm == OID_PKCS1_SHA512WITHRSA {
        &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
    } else {
        return false;
    };
    UnparsedPublicKey::new(verification, &issuer.subject_public_key.data)
        .verify(
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
        .is_ok()
}
