//! A new root that those accept who trust only the old one.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, Issuer, KeyIdMethod,
    SubjectPublicKeyInfo,
};
use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

use super::{CertifiedIssuer, IssueError, authority_params};
use crate::pki::{Certificate, Validity};

impl CertifiedIssuer {
    /// Issues a certificate with the name and the key of `new_root`: whatever is issued under the new
    /// root then verifies under this one too, where it is sent at the chain's end.
    ///
    /// Not every device looks that far (wolfSSL verifies each certificate that it is sent, so one that
    /// trusts only the new root refuses it). It is the check of a device that says whether the
    /// chain has room for it.
    pub fn cross_sign(
        &self,
        new_root: &Certificate,
        now: Timestamp,
    ) -> Result<Certificate, IssueError> {
        let not_copied = || IssueError::NotCrossSigned {
            subject: new_root.subject().to_owned(),
        };
        let (_, parsed) = X509Certificate::from_der(new_root.der()).map_err(|_| not_copied())?;
        let mut params = params_of(new_root, self.within_own_life(new_root.validity(), now)?)?;
        params.distinguished_name = DistinguishedName::new();
        for attribute in parsed.subject().iter_attributes() {
            let (of_type, value) = name_part(attribute).ok_or_else(not_copied)?;
            params.distinguished_name.push(of_type, value);
        }
        let key = SubjectPublicKeyInfo::from_der(parsed.public_key().raw)?;
        let issuer = Issuer::from_ca_cert_der(self.certificate.der(), &*self.key)?;
        let crossed = Certificate::parse(params.signed_by(&key, &issuer)?.der().to_vec())?;
        crossed.verify_issued_by(&self.certificate)?;
        // Names of several parts of one kind do not survive the library, and embedded stacks compare bytes.
        let (_, copy) = X509Certificate::from_der(crossed.der()).map_err(|_| not_copied())?;
        (copy.subject().as_raw() == parsed.subject().as_raw())
            .then(|| crossed.clone())
            .ok_or_else(not_copied)
    }
}

/// As a root's, but for the name; what is issued under `new_root` may say its key identifier.
fn params_of(new_root: &Certificate, validity: Validity) -> Result<CertificateParams, IssueError> {
    let extensions = new_root.extensions();
    let path_length = extensions.path_length.and_then(|it| u8::try_from(it).ok());
    let constraints = path_length.map_or(
        BasicConstraints::Unconstrained,
        BasicConstraints::Constrained,
    );
    let mut params = authority_params("", constraints, validity)?;
    params.use_authority_key_identifier_extension = true;
    if let Some(key_id) = &extensions.subject_key_id {
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.clone());
    }
    Ok(params)
}

/// In the encoding that it has.
fn name_part(attribute: &AttributeTypeAndValue<'_>) -> Option<(DnType, DnValue)> {
    let of_type: Vec<u64> = attribute.attr_type().iter()?.collect();
    let text = attribute.as_str().ok()?;
    let value = match attribute.attr_value().tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().ok()?),
        Tag::Ia5String => DnValue::Ia5String(text.try_into().ok()?),
        _ => return None,
    };
    Some((DnType::CustomDnType(of_type), value))
}
