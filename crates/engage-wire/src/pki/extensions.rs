//! What a certificate's extensions say.

use std::collections::HashSet;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CERT_TYPE, OID_X509_EXT_CERTIFICATE_POLICIES,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_INHIBIT_ANY_POLICY, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_POLICY_CONSTRAINTS, OID_X509_EXT_POLICY_MAPPINGS, OID_X509_EXT_SUBJECT_ALT_NAME,
    Oid,
};
use x509_parser::prelude::X509Certificate;

use super::{DistinguishedName, NameConstraints};

/// What the extensions of a certificate say; `None` where one is absent.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// basicConstraints cA.
    pub is_ca: Option<bool>,
    /// basicConstraints pathLenConstraint: how many intermediates may follow.
    pub path_length: Option<u32>,
    /// A critical extension that OpenSSL does not handle, by its object identifier.
    pub unknown_critical: Option<String>,
    /// An extension that cannot be read or is there twice, by its object identifier.
    pub malformed: Option<String>,
    /// extKeyUsage contains serverAuth. anyExtendedKeyUsage is not enough for OpenSSL.
    pub server_auth: Option<bool>,
    /// nsCertType contains server: an old extension that OpenSSL still obeys.
    pub netscape_server: Option<bool>,
    /// keyUsage allows digitalSignature (what an ECDHE handshake needs).
    pub digital_signature: Option<bool>,
    /// keyUsage allows keyCertSign.
    pub certificate_sign: Option<bool>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// authorityKeyIdentifier.
    pub authority_key_id: Option<AuthorityKeyId>,
    /// nameConstraints.
    pub name_constraints: Option<NameConstraints>,
}

/// Which certificate issued this one, in the words of its authorityKeyIdentifier.
#[derive(Clone, Debug, Default)]
pub struct AuthorityKeyId {
    /// The issuer's subjectKeyIdentifier.
    pub key_id: Option<Vec<u8>>,
    /// The name of the *issuer's issuer*.
    pub issuer: Option<DistinguishedName>,
    /// The issuer's serial number.
    pub serial: Option<Vec<u8>>,
}

impl Extensions {
    pub(super) fn from_certificate(certificate: &X509Certificate<'_>) -> Self {
        let mut extensions = Self::default();
        let mut seen = HashSet::new();
        for extension in certificate.extensions() {
            if !seen.insert(&extension.oid) {
                extensions.malformed = Some(extension.oid.to_id_string());
            }
            if extension.critical && !CRITICAL_KNOWN.contains(&extension.oid) {
                extensions.unknown_critical = Some(extension.oid.to_id_string());
            }
            extensions.read(extension.parsed_extension(), &extension.oid);
        }
        extensions
    }

    fn read(&mut self, extension: &ParsedExtension<'_>, oid: &Oid<'_>) {
        match extension {
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = Some(constraints.ca);
                self.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::ExtendedKeyUsage(usage) => self.server_auth = Some(usage.server_auth),
            ParsedExtension::NSCertType(kinds) => self.netscape_server = Some(kinds.ssl_server()),
            ParsedExtension::KeyUsage(usage) => {
                self.digital_signature = Some(usage.digital_signature());
                self.certificate_sign = Some(usage.key_cert_sign());
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                let mut names = id.authority_cert_issuer.iter().flatten();
                self.authority_key_id = Some(AuthorityKeyId {
                    key_id: id.key_identifier.as_ref().map(|id| id.0.to_vec()),
                    issuer: names.find_map(|name| match name {
                        GeneralName::DirectoryName(name) => {
                            Some(DistinguishedName::from_x509(name))
                        }
                        _ => None,
                    }),
                    serial: id.authority_cert_serial.map(ToOwned::to_owned),
                });
            }
            ParsedExtension::NameConstraints(constraints) => {
                self.name_constraints = Some(NameConstraints::from_x509(constraints));
            }
            ParsedExtension::ParseError { .. } => self.malformed = Some(oid.to_id_string()),
            _ => {}
        }
    }
}

/// What OpenSSL handles when it is critical (`supported_nids` of its `crypto/x509/v3_purp.c`), as
/// far as certificates of servers and their issuers have it.
const CRITICAL_KNOWN: [Oid<'static>; 11] = [
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_CERTIFICATE_POLICIES,
    OID_X509_EXT_CERT_TYPE,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_INHIBIT_ANY_POLICY,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_POLICY_CONSTRAINTS,
    OID_X509_EXT_POLICY_MAPPINGS,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];
