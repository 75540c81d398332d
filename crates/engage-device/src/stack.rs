//! How TLS stacks of devices differ, where a host can tell.

use std::num::NonZeroU8;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, Error, OtherError, SupportedCipherSuite, version};
use serde::Deserialize;

use super::{ChainRefusal, TlsVersions};
use engage_wire::crypto_provider;
use engage_wire::pki::Certificate;
use engage_wire::pki::device_profile::Violation;

/// The TLS stack of a device: what it offers, how it looks for the certificate that it trusts, and what it says
/// when it does not find it.
///
/// Reads a TOML file with the same keys; what is left out is as with Mbed TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsStack {
    /// Whose it is, for people.
    pub name: String,
    /// What is offered.
    pub versions: TlsVersions,
    /// What is offered, by the names of the registry, best first.
    pub cipher_suites: CipherSuites,
    /// Which certificates have to lead to the one that is trusted.
    pub chain_search: ChainSearch,
    /// Said where no certificate leads to the one that is trusted.
    pub unknown_issuer: Alert,
    /// Said where one has expired or is not valid yet.
    pub expired: Alert,
    /// Said of everything else: chains and keys that are too large, signatures.
    pub bad_certificate: Alert,
    /// How often a device tries before it gives a call-in up.
    pub attempts: NonZeroU8,
}

impl TlsStack {
    /// The names that [`TlsStack::built_in`] knows.
    pub const BUILT_IN: [&'static str; 3] = ["mbedtls", "wolfssl", "openssl"];

    /// A stack as its makers ship it: Mbed TLS 2.28, wolfSSL 5.5 or OpenSSL 3.0.
    pub fn built_in(name: &str) -> Option<Self> {
        Some(match name {
            "mbedtls" => Self::mbed_tls(),
            // `ProcessPeerCerts` begins with the certificate that was sent last; `DoCertFatalAlert`.
            "wolfssl" => Self {
                name: name.to_owned(),
                chain_search: ChainSearch::TopDown,
                bad_certificate: Alert::BadCertificate,
                ..Self::mbed_tls()
            },
            // `ssl_x509err2alert`.
            "openssl" => Self {
                name: name.to_owned(),
                versions: TlsVersions::Any,
                cipher_suites: CipherSuites::default(),
                bad_certificate: Alert::BadCertificate,
                ..Self::mbed_tls()
            },
            _ => return None,
        })
    }

    /// The alerts are those of `ssl_parse_certificate_verify`.
    fn mbed_tls() -> Self {
        let suites = [
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ];
        let known = suites.iter().filter_map(|name| cipher_suite(name));
        Self {
            name: "mbedtls".to_owned(),
            versions: TlsVersions::Device,
            cipher_suites: CipherSuites(known.collect()),
            chain_search: ChainSearch::TrustFirst,
            unknown_issuer: Alert::UnknownCa,
            expired: Alert::CertificateExpired,
            bad_certificate: Alert::UnsupportedCertificate,
            attempts: ATTEMPTS,
        }
    }

    /// What `doctor` speaks: everything that this library can, checked as devices check it.
    pub(super) fn any(versions: TlsVersions) -> Self {
        Self {
            versions,
            cipher_suites: CipherSuites::default(),
            unknown_issuer: Alert::CertificateUnknown,
            expired: Alert::CertificateUnknown,
            bad_certificate: Alert::CertificateUnknown,
            ..Self::mbed_tls()
        }
    }

    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            cipher_suites: self.cipher_suites.0.clone(),
            ..(*crypto_provider()).clone()
        })
    }

    /// Whether it looks at the certificate that was sent last before it has found the one it trusts, and misses
    /// its issuer.
    pub(super) fn stops_at(&self, topmost: &Certificate, anchor: &Certificate) -> bool {
        self.chain_search == ChainSearch::TopDown
            && topmost != anchor
            && topmost.verify_issued_by(anchor).is_err()
    }

    pub(super) fn alert(&self, refusal: &ChainRefusal) -> Alert {
        match refusal {
            ChainRefusal::Violation(Violation::Chain(_)) => self.unknown_issuer,
            ChainRefusal::Violation(violation) if violation.is_about_time() => self.expired,
            _ => self.bad_certificate,
        }
    }
}

impl Default for TlsStack {
    fn default() -> Self {
        Self::mbed_tls()
    }
}

/// How a stack looks for the certificate that it trusts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ChainSearch {
    /// From the server's certificate up; what follows the first that is trusted does not matter.
    TrustFirst,
    /// From the last certificate that was sent down: each has to verify, as with wolfSSL unless it was built with
    /// `WOLFSSL_ALT_CERT_CHAINS`.
    TopDown,
}

/// What a stack says of certificates that it refuses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// The alert of this name (RFC 5246 section 7.2.2).
    BadCertificate,
    /// The alert of this name.
    CertificateExpired,
    /// The alert of this name.
    CertificateUnknown,
    /// Nothing: the connection is closed.
    None,
    /// The alert of this name.
    UnknownCa,
    /// The alert of this name.
    UnsupportedCertificate,
}

impl Alert {
    /// The library's error that makes it send this alert.
    pub(super) fn error(self, refusal: ChainRefusal) -> Error {
        match self {
            Self::BadCertificate => CertificateError::BadEncoding,
            Self::CertificateExpired => CertificateError::Expired,
            Self::UnknownCa => CertificateError::UnknownIssuer,
            Self::UnsupportedCertificate => CertificateError::InvalidPurpose,
            Self::CertificateUnknown | Self::None => {
                CertificateError::Other(OtherError(Arc::new(refusal)))
            }
        }
        .into()
    }
}

/// Cipher suites that this library has; by default all of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct CipherSuites(Vec<SupportedCipherSuite>);

impl Default for CipherSuites {
    fn default() -> Self {
        Self(crypto_provider().cipher_suites.clone())
    }
}

impl TryFrom<Vec<String>> for CipherSuites {
    type Error = CipherSuitesError;

    fn try_from(names: Vec<String>) -> Result<Self, CipherSuitesError> {
        let known = names
            .into_iter()
            .map(|name| cipher_suite(&name).ok_or(CipherSuitesError::Unknown(name)));
        let suites = known.collect::<Result<Vec<_>, _>>()?;
        if !suites.iter().any(|it| it.version() == &version::TLS12) {
            return Err(CipherSuitesError::NotTls12);
        }
        Ok(Self(suites))
    }
}

/// Why a list of cipher suites cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum CipherSuitesError {
    /// No suite of TLS 1.2, which every device speaks.
    #[error("no cipher suite is of TLS 1.2; allowed: at least one")]
    NotTls12,
    /// This library has none of this name.
    #[error(
        "cipher suite `{0}` is not known; allowed: the names of suites with ECDHE and AEAD, such as \
         `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`"
    )]
    Unknown(String),
}

const ATTEMPTS: NonZeroU8 = NonZeroU8::new(3).unwrap();

fn cipher_suite(name: &str) -> Option<SupportedCipherSuite> {
    let suites = &crypto_provider().cipher_suites;
    let mut suites = suites.iter().filter(|suite| {
        // rustls marks the suites of TLS 1.3, which the registry does not.
        let own = suite.suite().as_str().unwrap_or_default();
        own.replace("TLS13_", "TLS_") == name
    });
    suites.next().copied()
}
