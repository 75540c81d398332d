//! A device's idea of trust: one certificate, and limits.

use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme,
};

use engage_wire::clock::from_unix_seconds;
use engage_wire::limits::{MAX_CHAIN_BYTES, MAX_KEY_BITS};
use engage_wire::pki::{
    Certificate, ChainError, DevicePath, MalformedCertificate, PublicKey, ServerChain,
};

/// What a server presented, and what a device makes of it.
#[derive(Clone, Debug)]
pub struct PeerChain {
    /// The certificates as sent, server first; only as many as could be read.
    pub certificates: Vec<Certificate>,
    /// The path to the trust anchor, or why there is none.
    pub verdict: Result<DevicePath, ChainRefusal>,
}

/// Why a device that trusts only the announced certificate refuses a chain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainRefusal {
    /// Out of order, or it does not lead to the trust anchor.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A certificate's time is over, or has not come.
    #[error("certificate `{subject}` is valid from {not_before} to {not_after} only; now is {now}")]
    Invalid {
        /// Its subject.
        subject: String,
        /// First valid second.
        not_before: Timestamp,
        /// Last valid second.
        not_after: Timestamp,
        /// The clock's time.
        now: Timestamp,
    },
    /// A key is longer than devices accept.
    #[error("certificate `{subject}` has a key of {found}; allowed: {MAX_KEY_BITS} bits")]
    KeyTooLong {
        /// Its subject.
        subject: String,
        /// Its key.
        found: PublicKey,
    },
    /// A certificate cannot be read.
    #[error("certificate {position} of the handshake cannot be read")]
    Malformed {
        /// Its position, from 1.
        position: usize,
        /// What is wrong.
        source: MalformedCertificate,
    },
    /// The certificates have too many bytes together.
    #[error("the chain has {sum} = {found} bytes; allowed: {MAX_CHAIN_BYTES}")]
    TooLarge {
        /// Bytes in all, root included.
        found: usize,
        /// The summands, with their roles.
        sum: String,
    },
}

impl ChainRefusal {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Chain(ChainError::NotAnchored {
                anchor,
                topmost_issuer,
                ..
            }) if anchor == topmost_issuer => {
                "the names are the same but the keys differ: the announced file belongs to another issue of these certificates".into()
            }
            Self::Chain(error) => error.hint(),
            Self::Invalid { .. } => "renew it, or set this computer's clock".into(),
            Self::KeyTooLong { .. } => "issue it again with an RSA key of 2048 bits".into(),
            Self::Malformed { .. } => "the server's certificate file is damaged".into(),
            Self::TooLarge { .. } => {
                "shorten names and extensions, or leave out an intermediate: devices log `TLS Connection Error`".into()
            }
        }
    }
}

/// Verifies one connection's chain as a device would, and remembers what it saw.
pub(super) struct DeviceVerifier {
    anchor: Certificate,
    provider: Arc<CryptoProvider>,
    served: Arc<OnceLock<PeerChain>>,
}

impl DeviceVerifier {
    pub(super) fn new(
        anchor: Certificate,
        provider: Arc<CryptoProvider>,
        served: Arc<OnceLock<PeerChain>>,
    ) -> Self {
        Self {
            anchor,
            provider,
            served,
        }
    }

    /// Verifies with the bare key, for a certificate that the library's own parser refuses:
    /// `openssl ca` without an extension section makes version 1 certificates, which devices take.
    fn verify_with_bare_key(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate =
            Certificate::parse(certificate.to_vec()).map_err(|_| CertificateError::BadEncoding)?;
        self.provider
            .signature_verification_algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| *algorithms)
            .find(|algorithm| {
                // A key of another algorithm does not parse, so that it verifies nothing.
                algorithm
                    .verify_signature(
                        certificate.subject_public_key(),
                        message,
                        signed.signature(),
                    )
                    .is_ok()
            })
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }
}

impl ServerCertVerifier for DeviceVerifier {
    /// The name is not compared: devices are told bare addresses, and whether they compare at all
    /// is not documented (PROTOCOL.md section 2).
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = from_unix_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let served = serve(&self.anchor, end_entity, intermediates, now);
        let verdict = served.verdict.clone();
        // One verifier sees one handshake, and a handshake one chain.
        let _ = self.served.set(served);
        match verdict {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => Err(CertificateError::Other(OtherError(Arc::new(refusal))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(certificate).is_err() {
            return self.verify_with_bare_key(message, certificate, signed);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(certificate).is_err() {
            // RFC 8446 section 4.2.3: PKCS#1 v1.5 signs certificates there, never handshakes.
            if is_rsa_pkcs1(signed.scheme) {
                return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
            }
            return self.verify_with_bare_key(message, certificate, signed);
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl fmt::Debug for DeviceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceVerifier")
            .field("anchor", &self.anchor)
            .finish_non_exhaustive()
    }
}

fn serve(
    anchor: &Certificate,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: Timestamp,
) -> PeerChain {
    let mut certificates = Vec::new();
    for (at, der) in std::iter::once(leaf).chain(others).enumerate() {
        match Certificate::parse(der.to_vec()) {
            Ok(certificate) => certificates.push(certificate),
            Err(source) => {
                return PeerChain {
                    certificates,
                    verdict: Err(ChainRefusal::Malformed {
                        position: at + 1,
                        source,
                    }),
                };
            }
        }
    }
    PeerChain {
        verdict: judge(anchor, certificates.clone(), now),
        certificates,
    }
}

fn judge(
    anchor: &Certificate,
    certificates: Vec<Certificate>,
    now: Timestamp,
) -> Result<DevicePath, ChainRefusal> {
    let path = ServerChain::parse(certificates)?.device_path(anchor, None)?;
    for (_, certificate) in path.roles() {
        let subject = || certificate.subject().to_owned();
        let validity = certificate.validity();
        if validity.is_early(now) || validity.is_over(now) {
            return Err(ChainRefusal::Invalid {
                subject: subject(),
                not_before: validity.not_before,
                not_after: validity.not_after,
                now,
            });
        }
        if certificate
            .key()
            .bits()
            .is_some_and(|bits| bits > MAX_KEY_BITS)
        {
            return Err(ChainRefusal::KeyTooLong {
                subject: subject(),
                found: certificate.key().clone(),
            });
        }
    }
    if path.size() > MAX_CHAIN_BYTES {
        return Err(ChainRefusal::TooLarge {
            found: path.size(),
            sum: path.sum_text(),
        });
    }
    Ok(path)
}

fn is_rsa_pkcs1(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    )
}
