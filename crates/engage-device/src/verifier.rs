//! A device's idea of trust: one certificate, and limits.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use miette::Diagnostic;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};

use super::stack::{Alert, TlsStack};

use engage_wire::clock::from_unix_seconds;
use engage_wire::pki::device_profile::{DeviceProfile, Violation};
use engage_wire::pki::{Certificate, ChainError, DevicePath, MalformedCertificate};

/// What a server presented, and what a device makes of it.
#[derive(Clone, Debug)]
pub struct PeerChain {
    /// The certificates as sent, server first; only as many as could be read.
    pub certificates: Vec<Certificate>,
    /// The path to the trust anchor, or why a device refuses.
    pub path: Result<DevicePath, ChainRefusal>,
    /// All that is held against the certificates, refusals and warnings.
    pub violations: Vec<Violation>,
}

/// Why a device that trusts only the announced certificate refuses a chain.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum ChainRefusal {
    /// It breaks a rule of the device profile.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Violation(Violation),
    /// A certificate cannot be read.
    #[error("certificate {position} of the handshake cannot be read")]
    #[diagnostic(
        code("malformed-certificate"),
        help("the server's certificate file is damaged")
    )]
    Malformed {
        /// Its position, from 1.
        position: usize,
        /// What is wrong.
        source: MalformedCertificate,
    },
}

/// Verifies one connection's chain as a device would, and remembers what it saw.
pub(super) struct DeviceVerifier {
    pub(super) anchor: Certificate,
    pub(super) stack: Arc<TlsStack>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) peer_chain: Arc<OnceLock<PeerChain>>,
    /// Set where the stack says nothing of what it refuses.
    pub(super) muted: Arc<AtomicBool>,
}

impl DeviceVerifier {
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
        let peer_chain = PeerChain::verify(self, end_entity, intermediates, now);
        let path = peer_chain.path.clone();
        // One verifier sees one handshake, and a handshake one chain.
        let _ = self.peer_chain.set(peer_chain);
        match path {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => {
                let alert = self.stack.alert(&refusal);
                self.muted.store(alert == Alert::None, Ordering::Relaxed);
                Err(alert.error(refusal))
            }
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

impl PeerChain {
    fn verify(
        verifier: &DeviceVerifier,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Self {
        let mut certificates = Vec::new();
        for (at, der) in std::iter::once(leaf).chain(others).enumerate() {
            match Certificate::parse(der.to_vec()) {
                Ok(certificate) => certificates.push(certificate),
                Err(source) => {
                    return Self {
                        certificates,
                        path: Err(ChainRefusal::Malformed {
                            position: at + 1,
                            source,
                        }),
                        violations: Vec::new(),
                    };
                }
            }
        }
        let DeviceVerifier { anchor, stack, .. } = verifier;
        let check = DeviceProfile::new(now).check_handshake(certificates.clone(), anchor);
        let refusal = check.refusal().cloned().map(ChainRefusal::Violation);
        let no_path = || chain_refusal(ChainError::Empty);
        let topmost = certificates.last();
        let missed = topmost.filter(|topmost| stack.stops_at(topmost, anchor));
        Self {
            path: match (refusal, missed) {
                (Some(refusal), _) => Err(refusal),
                (None, Some(topmost)) => Err(chain_refusal(ChainError::not_anchored(
                    topmost, anchor, None,
                ))),
                (None, None) => check.accepted.ok_or_else(no_path),
            },
            certificates,
            violations: check.violations,
        }
    }
}

fn chain_refusal(error: ChainError) -> ChainRefusal {
    ChainRefusal::Violation(Violation::Chain(Box::new(error)))
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
