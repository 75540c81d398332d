//! One X.509 certificate: its exact bytes and what this program needs to know of them.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use pem::{EncodeConfig, LineEnding, Pem};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::error::X509Error;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::signature::verify_signature;
use super::{DistinguishedName, Extensions, PublicKey, SubjectAltName, Validity, der};
use crate::clock::from_unix_seconds;

/// Exactly one well-formed X.509 certificate.
///
/// Owns the DER bytes as they were read: they are what is hashed and served, so they are never
/// re-encoded.
#[derive(Clone)]
pub struct Certificate {
    der: CertificateDer<'static>,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    common_name: Option<String>,
    serial: Vec<u8>,
    key: PublicKey,
    subject_public_key: Vec<u8>,
    validity: Validity,
    weak_signature: Option<&'static str>,
    encoding_defect: Option<&'static str>,
    extensions: Extensions,
    alt_names: Vec<SubjectAltName>,
    signed_by_itself: bool,
}

impl Certificate {
    /// Parses `der`, all of it, as one certificate.
    pub fn parse(der: Vec<u8>) -> Result<Self, MalformedCertificate> {
        let (rest, parsed) = X509Certificate::from_der(&der)
            .map_err(|error| MalformedCertificate::NotX509(reason(&error)))?;
        if !rest.is_empty() {
            return Err(MalformedCertificate::TrailingBytes(rest.len()));
        }
        let subject = DistinguishedName::from_x509(parsed.subject());
        let issuer = DistinguishedName::from_x509(parsed.issuer());
        // A root's signature says nothing of others, so one that cannot be checked is taken on trust.
        let signed_by_itself = subject == issuer
            && matches!(
                verify_signature(&parsed, parsed.public_key()),
                Ok(()) | Err(LinkError::Unsupported | LinkError::PssSalt { .. })
            );
        Ok(Self {
            subject,
            issuer,
            common_name: common_name(&parsed),
            serial: parsed.raw_serial().to_vec(),
            key: PublicKey::from_spki(parsed.public_key()),
            subject_public_key: parsed.public_key().subject_public_key.data.to_vec(),
            validity: Validity {
                not_before: from_unix_seconds(parsed.validity().not_before.timestamp()),
                not_after: from_unix_seconds(parsed.validity().not_after.timestamp()),
            },
            weak_signature: weak_signature(&parsed),
            encoding_defect: encoding_defect(&der, &parsed),
            extensions: Extensions::from_certificate(&parsed),
            alt_names: SubjectAltName::all(&parsed),
            signed_by_itself,
            der: CertificateDer::from(der),
        })
    }

    /// The bytes as read.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as a PEM section (RFC 7468), each line of which ends with `line_ending`.
    pub fn to_pem(&self, line_ending: LineEnding) -> String {
        let section = Pem::new("CERTIFICATE", self.der.as_ref());
        pem::encode_config(&section, EncodeConfig::new().set_line_ending(line_ending))
    }

    /// DER length in bytes: what counts against [`crate::limits::MAX_CHAIN_BYTES`].
    pub fn size(&self) -> usize {
        self.der.len()
    }

    /// The subject name, for people.
    pub fn subject(&self) -> &str {
        self.subject.as_str()
    }

    pub(super) fn subject_name(&self) -> &DistinguishedName {
        &self.subject
    }

    pub(super) fn issuer_name(&self) -> &DistinguishedName {
        &self.issuer
    }

    pub(super) fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The serial number's bytes, as they are encoded.
    pub(super) fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The issuer name, for people.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Algorithm and size of the public key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The period in which the certificate may be used.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Name of a broken hash in the certificate's own signature, if it has one.
    ///
    /// A trust anchor's signature is never checked, so that of a root does not count.
    pub(crate) fn weak_signature(&self) -> Option<&'static str> {
        self.weak_signature.filter(|_| !self.signed_by_itself)
    }

    /// What the extensions say.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// How the encoding differs from DER, so that strict clients cannot read it.
    pub(crate) fn encoding_defect(&self) -> Option<&'static str> {
        self.encoding_defect
    }

    /// The subjectAltName entries that can name a host.
    pub fn alt_names(&self) -> &[SubjectAltName] {
        &self.alt_names
    }

    /// The subjectAltName entries in one line, for messages.
    pub fn alt_names_text(&self) -> String {
        let names: Vec<_> = self.alt_names.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        }
    }

    /// Whether the certificate is its own issuer, verified by its signature: a root.
    pub fn is_self_signed(&self) -> bool {
        self.signed_by_itself
    }

    /// Whether the subject and the issuer have the same name, whoever signed it.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// SHA-256 over the DER, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// The subjectPublicKey bits, to compare with a private key's.
    pub fn subject_public_key(&self) -> &[u8] {
        &self.subject_public_key
    }

    /// Verifies that `issuer` issued this certificate: the names chain and the signature verifies
    /// under the issuer's key (RFC 5280 section 6.1.3 (a) (1) and (4)).
    pub fn verify_issued_by(&self, issuer: &Self) -> Result<(), LinkError> {
        if self.issuer != issuer.subject {
            return Err(LinkError::Names);
        }
        let (Ok((_, own)), Ok((_, issuer))) = (
            X509Certificate::from_der(&self.der),
            X509Certificate::from_der(&issuer.der),
        ) else {
            return Err(LinkError::Signature);
        };
        verify_signature(&own, issuer.public_key())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// Why bytes are not exactly one certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MalformedCertificate {
    /// The parser stopped.
    #[error("not an X.509 certificate ({0})")]
    NotX509(String),
    /// More follows after the certificate.
    #[error("{0} bytes follow after the certificate")]
    TrailingBytes(usize),
}

/// Why one certificate did not issue another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// Issuer name and subject name differ.
    #[error("its issuer name is another")]
    Names,
    /// RSA-PSS with a salt that neither this program nor many TLS clients can verify.
    #[error(
        "it is signed with RSA-PSS and a salt of {found} bytes, which cannot be checked; allowed: PKCS#1 v1.5, or a salt as long as the hash"
    )]
    PssSalt {
        /// Bytes of salt.
        found: u32,
    },
    /// The names fit, the signature does not.
    #[error("the names fit but the signature does not: another key of the same name signed it")]
    Signature,
    /// The names fit, the signature cannot be checked.
    #[error(
        "it is signed with an algorithm that is not supported; allowed: RSA or ECDSA with SHA-256, -384 or -512"
    )]
    Unsupported,
}

/// SHA-256 fingerprint of a certificate.
#[derive(Clone, Copy, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The first 8 bytes, to tell a few certificates apart in little memory.
    pub fn prefix(self) -> u64 {
        let (prefix, _) = self.0.as_chunks();
        u64::from_be_bytes(prefix[0])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = HEXUPPER.encode(&self.0);
        let mut text = String::with_capacity(digits.len() / 2 * 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && at % 2 == 0 {
                text.push(':');
            }
            text.push(digit);
        }
        f.write_str(&text)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.replace(':', "");
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        let bytes = bytes.map_err(|_| FingerprintError)?.try_into();
        bytes.map(Self).map_err(|_| FingerprintError)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Text that is no fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a SHA-256 fingerprint is 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The last of the common names, as OpenSSL takes it.
fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().last()?;
    name.as_str().ok().map(ToOwned::to_owned)
}

/// Breaches of DER, and the two statements of the signature's algorithm that must be equal
/// (RFC 5280 section 4.1.1.2).
fn encoding_defect(der: &[u8], certificate: &X509Certificate<'_>) -> Option<&'static str> {
    der::defect(der).or_else(|| {
        (certificate.signature_algorithm != certificate.tbs_certificate.signature)
            .then_some("its two signature algorithms differ")
    })
}

/// Signatures over hashes still weaker than SHA-1 do not verify at all.
fn weak_signature(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let algorithm = &certificate.signature_algorithm.algorithm;
    [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA]
        .contains(algorithm)
        .then_some("SHA-1")
}

/// The parser's reason, without the wrapper that its `Display` puts around it.
fn reason(error: &x509_parser::nom::Err<X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => {
            match error {
                X509Error::Der(_) | X509Error::NomError(_) => "its DER encoding is broken".into(),
                error => error.to_string(),
            }
        }
    }
}
