//! Whether one key signed one certificate.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey,
};
use x509_parser::error::X509Error;
use x509_parser::oid_registry::{OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA512WITHRSA};
use x509_parser::prelude::{SubjectPublicKeyInfo, X509Certificate};

use super::LinkError;

/// Proves that the key of `issuer` signed `certificate`.
pub(super) fn verify_signature(
    certificate: &X509Certificate<'_>,
    issuer: &SubjectPublicKeyInfo<'_>,
) -> Result<(), LinkError> {
    certificate
        .verify_signature(Some(issuer))
        .or_else(|error| match error {
            X509Error::SignatureUnsupportedAlgorithm => Err(LinkError::Unsupported),
            _ if verifies_under_short_key(certificate, issuer) => Ok(()),
            _ => Err(LinkError::Signature),
        })
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
