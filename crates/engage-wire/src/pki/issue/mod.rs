//! Issuing: a root, an intermediate, and server certificates that devices accept.
//!
//! RSA 2048 with SHA-256 throughout, which is what every published sample uses; ECDSA is not
//! documented for devices (PROTOCOL.md section 2).

mod cross_sign;
mod new_authorities;
mod validity_policy;

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SanType,
    SerialNumber,
};
use rustls::pki_types::PrivateKeyDer;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Certificate, LinkError, MalformedCertificate, PrivateKey, Validity};
use crate::HostName;

pub use new_authorities::NewAuthorities;
pub use validity_policy::ValidityPolicy;

/// A certificate with its private key, both made here or checked to belong together.
///
/// The key cannot be printed and its encoding is wiped when dropped.
pub struct CertifiedIssuer {
    certificate: Certificate,
    key: Zeroizing<KeyPair>,
}

impl CertifiedIssuer {
    /// Makes a new self-signed root.
    pub fn root(validity_policy: &ValidityPolicy) -> Result<Self, IssueError> {
        Self::root_named(ROOT_NAME, validity_policy)
    }

    fn root_named(name: &str, validity_policy: &ValidityPolicy) -> Result<Self, IssueError> {
        let key = generate_key()?;
        let params = authority_params(
            name,
            BasicConstraints::Unconstrained,
            validity_policy.authority(),
        )?;
        let der = params.self_signed(&*key)?.der().to_vec();
        let certificate = Certificate::parse(der)?;
        Ok(Self { certificate, key })
    }

    /// Takes up an existing authority after checking that `key` is the key of `certificate`.
    pub fn from_existing(certificate: Certificate, key: PrivateKey) -> Result<Self, IssueError> {
        let key: PrivateKeyDer<'static> = key.into_der();
        let key = Zeroizing::new(KeyPair::try_from(&key).map_err(|_| IssueError::UnusableKey)?);
        if key.der_bytes() != certificate.subject_public_key() {
            return Err(IssueError::ForeignKey {
                subject: certificate.subject().to_owned(),
            });
        }
        Ok(Self { certificate, key })
    }

    /// Issues an intermediate that may issue server certificates and nothing else.
    pub fn issue_intermediate(&self, validity_policy: &ValidityPolicy) -> Result<Self, IssueError> {
        self.issue_intermediate_named(INTERMEDIATE_NAME, validity_policy)
    }

    fn issue_intermediate_named(
        &self,
        name: &str,
        validity_policy: &ValidityPolicy,
    ) -> Result<Self, IssueError> {
        let validity = self.within_own_life(validity_policy.authority(), validity_policy.now())?;
        let below = BasicConstraints::Constrained(0);
        self.issue(authority_params(name, below, validity)?)
    }

    /// Issues a server certificate for `hosts`, the first of which becomes its common name.
    pub fn issue_server(
        &self,
        hosts: &[HostName],
        validity_policy: &ValidityPolicy,
    ) -> Result<Self, IssueError> {
        let validity = self.within_own_life(validity_policy.server(), validity_policy.now())?;
        self.issue(server_params(hosts, validity)?)
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key, PKCS#8 in PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Self, IssueError> {
        let key = generate_key()?;
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(self.certificate.der(), &*self.key)?;
        let der = params.signed_by(&*key, &issuer)?.der().to_vec();
        let certificate = Certificate::parse(der)?;
        // An existing authority's name may have parts that do not survive the library.
        certificate.verify_issued_by(&self.certificate)?;
        Ok(Self { certificate, key })
    }

    /// A certificate that outlives its issuer looks valid to people and is not to a device.
    fn within_own_life(&self, wanted: Validity, now: Timestamp) -> Result<Validity, IssueError> {
        let own = self.certificate.validity();
        if own.is_over(now) {
            return Err(IssueError::IssuerExpired {
                subject: self.certificate.subject().to_owned(),
                not_after: own.not_after,
            });
        }
        Ok(Validity {
            not_before: wanted.not_before.max(own.not_before),
            not_after: wanted.not_after.min(own.not_after),
        })
    }
}

impl fmt::Debug for CertifiedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedIssuer")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key is that of another certificate.
    #[error("it does not belong to the certificate of `{subject}`")]
    ForeignKey {
        /// Subject of the certificate.
        subject: String,
    },
    /// Nothing that it issues now could be valid.
    #[error("the issuer `{subject}` expired at {not_after}")]
    IssuerExpired {
        /// Subject of the issuer.
        subject: String,
        /// Its last valid second.
        not_after: Timestamp,
    },
    /// What was issued does not verify under its issuer.
    #[error("the new certificate does not verify under its issuer")]
    Link(#[from] LinkError),
    /// What was issued does not parse.
    #[error("the new certificate does not parse")]
    Malformed(#[from] MalformedCertificate),
    /// The name or the key of a root cannot be copied as they are.
    #[error(
        "the name or the key of `{subject}` cannot be copied; allowed: one part of each kind, as text, and an RSA or ECDSA key"
    )]
    NotCrossSigned {
        /// Subject of the root.
        subject: String,
    },
    /// The operating system gave no random numbers.
    #[error("the system's random number generator failed")]
    Randomness,
    /// The library refused.
    #[error("the certificate library failed")]
    Library(#[from] rcgen::Error),
    /// The library cannot sign with such a key.
    #[error("its algorithm cannot be used for signing; allowed: RSA or ECDSA")]
    UnusableKey,
}

/// Fresh random bytes, wiped when dropped.
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, IssueError> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new()
        .fill(bytes.as_mut_slice())
        .map_err(|_| IssueError::Randomness)?;
    Ok(bytes)
}

fn generate_key() -> Result<Zeroizing<KeyPair>, IssueError> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    Ok(Zeroizing::new(key))
}

fn authority_params(
    name: &str,
    constraints: BasicConstraints,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    let mut params = params(name, validity)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params(hosts: &[HostName], validity: Validity) -> Result<CertificateParams, IssueError> {
    let name = hosts
        .first()
        .map(HostName::to_string)
        .filter(|name| name.len() <= MAX_COMMON_NAME_CHARS)
        .unwrap_or_else(|| SERVER_NAME.to_owned());
    let mut params = params(&name, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = hosts
        .iter()
        .map(|host| match host {
            HostName::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into()?)),
            HostName::Ip(address) => Ok(SanType::IpAddress(*address)),
        })
        .collect::<Result<_, rcgen::Error>>()?;
    Ok(params)
}

/// What all three have in common: everything that the library would otherwise fill in with
/// placeholders.
fn params(name: &str, validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial_number()?);
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    Ok(params)
}

/// Random, because one derived from the key repeats when a certificate is issued again, and
/// issuer and serial number must never name two certificates (RFC 5280 section 4.1.2.2).
fn serial_number() -> Result<SerialNumber, IssueError> {
    let mut serial = random_bytes::<SERIAL_BYTES>()?;
    // Positive, and of the same length each time.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(serial.as_slice()))
}

fn date(timestamp: Timestamp) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(timestamp.as_second())
        .map_err(|_| IssueError::Library(rcgen::Error::Time))
}

/// Short: it stands six times in a chain of at most 4096 bytes.
const ORGANIZATION: &str = "ENGAGE partner host";

/// Names as in the vendor's sample, where they are also file names.
const ROOT_NAME: &str = "partner_CA";
const INTERMEDIATE_NAME: &str = "partner_intermediate";
const SERVER_NAME: &str = "partner_server";

/// RFC 5280 appendix A.1, ub-common-name.
const MAX_COMMON_NAME_CHARS: usize = 64;

/// Of at most 20 (RFC 5280 section 4.1.2.2): beyond any chance of a repetition, and short.
const SERIAL_BYTES: usize = 16;

#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;
