//! What a certificate says of the use of its key.

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;

/// What the extensions say about the use of a certificate's key; `None` where one is absent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyUse {
    /// basicConstraints cA.
    pub is_ca: Option<bool>,
    /// basicConstraints pathLenConstraint: how many intermediates may follow.
    pub path_length: Option<u32>,
    /// A critical extension that is not known here, by its object identifier.
    pub unknown_critical: Option<String>,
    /// extKeyUsage contains serverAuth or anyExtendedKeyUsage.
    pub server_auth: Option<bool>,
    /// keyUsage is present, and allows digitalSignature (what an ECDHE handshake needs).
    pub digital_signature: Option<bool>,
    /// keyUsage is present, and allows keyCertSign.
    pub certificate_sign: Option<bool>,
    /// A subjectKeyIdentifier is present.
    pub has_subject_key_id: bool,
    /// An authorityKeyIdentifier is present.
    pub has_authority_key_id: bool,
}

impl KeyUse {
    pub(super) fn from_certificate(certificate: &X509Certificate<'_>) -> Self {
        let mut key_use = Self::default();
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    key_use.is_ca = Some(constraints.ca);
                    key_use.path_length = constraints.path_len_constraint;
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    key_use.server_auth = Some(usage.server_auth || usage.any);
                }
                ParsedExtension::KeyUsage(usage) => {
                    key_use.digital_signature = Some(usage.digital_signature());
                    key_use.certificate_sign = Some(usage.key_cert_sign());
                }
                ParsedExtension::SubjectKeyIdentifier(_) => key_use.has_subject_key_id = true,
                ParsedExtension::AuthorityKeyIdentifier(_) => key_use.has_authority_key_id = true,
                ParsedExtension::UnsupportedExtension { oid } if extension.critical => {
                    key_use.unknown_critical = Some(oid.to_id_string());
                }
                _ => {}
            }
        }
        key_use
    }
}
